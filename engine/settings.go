package engine

import "github.com/shardmill/shardmill/engine/catalog"

// change commits what f makes of a stream's settings. The stream must be ACTIVE. With updating and Options.Transition it
// is UPDATING for that long afterwards. Where f changes nothing, nothing is written.
func (s *Stream) change(updating bool, f func(next *StreamInfo) (changed bool, err *Error)) (*StreamInfo, error) {
	info, err := s.beginControl()
	if err != nil {
		return nil, err
	}
	defer s.control.Unlock()
	next := info.Clone()
	changed, err := f(next)
	if err != nil {
		return nil, err
	}
	if !changed {
		return info, nil
	}
	updating = updating && s.e.o.Transition > 0
	if updating {
		next.Status = catalog.Updating
	}
	if err := s.commit(next, nil); err != nil {
		return nil, err
	}
	if updating {
		s.e.due.add(s.e.transitionEnd(), s, catalog.Active)
	}
	return info, nil
}
