package engine

import (
	"context"

	"github.com/shardmill/shardmill/engine/catalog"
)

// DeleteStream removes a stream in any state and returns when that is durable. With Options.Transition it is DELETING for
// that long; it takes no records any more, reads go on. The records stay in the log until its segments expire. A stream
// that has consumers is CodeInUse.
func (e *Engine) DeleteStream(_ context.Context, n Name) error { return e.deleteStream(n, false) }

// DeleteStreamAndConsumers is DeleteStream for a stream that may have consumers. They go with it, their subscriptions end.
func (e *Engine) DeleteStreamAndConsumers(_ context.Context, n Name) error {
	return e.deleteStream(n, true)
}

func (e *Engine) deleteStream(n Name, consumersToo bool) error {
	v, ok := e.names.Load(e.name(n))
	if !ok {
		return notFound(e.name(n))
	}
	s := v.(*Stream)
	s.control.Lock()
	defer s.control.Unlock()
	info, err := s.exists()
	if err != nil {
		return err
	}
	if err := e.failed.Load(); err != nil {
		return err
	}
	if info.Status == catalog.Deleting {
		return nil
	}
	if len(info.Consumers) > 0 && !consumersToo {
		return consumersHold(s.name)
	}
	if e.o.Transition <= 0 {
		return asError(s.removeLocked())
	}
	next := info.Clone()
	next.Status = catalog.Deleting
	if err := s.commit(next, nil); err != nil {
		return err
	}
	if info.Status == catalog.Creating {
		e.limits.created(s.name)
	}
	s.shutAll()
	s.wakeAppenders()
	e.due.add(e.transitionEnd(), s, catalog.Deleting)
	return nil
}

// shutAll keeps batches out of every open shard of a stream that is on its way out.
func (s *Stream) shutAll() {
	for _, sh := range s.routes.Load().shards {
		if sh.word.Load() < shutBit {
			sh.shut()
		}
	}
}

// removeLocked makes the stream gone. s.control is held.
func (s *Stream) removeLocked() *Error {
	e, info := s.e, s.info.Load()
	if err := e.cat.Remove(s.id); err != nil {
		e.fail(catalogError(err))
		return catalogError(err)
	}
	e.names.CompareAndDelete(s.name, s)
	s.gone.Store(true)
	s.shutAll()
	routes := s.routes.Load()
	e.shards.drop(routes.shards)
	close(routes.superseded)
	e.limits.releaseStream(info)
	e.fanout.revise(s)
	return nil
}

// asError keeps a nil *Error from becoming a non-nil error.
func asError(err *Error) error {
	if err == nil {
		return nil
	}
	return err
}
