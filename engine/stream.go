package engine

import (
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/engine/catalog"
)

// Stream is a handle; it stays valid, and answers CodeNotFound, after the stream is gone.
type Stream struct {
	e      *Engine
	id     uint32
	name   Name
	info   atomic.Pointer[StreamInfo]
	routes atomic.Pointer[routeMap]
	gone   atomic.Bool

	control sync.Mutex    // one control operation at a time
	spread  atomic.Uint64 // records that AUTO distribution has dealt out
}

// newStream makes the handle of info's stream and registers its open shards.
func (e *Engine) newStream(info *StreamInfo) *Stream {
	s := &Stream{e: e, id: info.ID, name: info.Name}
	s.publish(info, nil)
	return s
}

// Info returns the current snapshot, never nil. After the stream is gone it is the last one.
func (s *Stream) Info() *StreamInfo { return s.info.Load() }

// publish makes info, which the catalog has, what readers and appenders see. Shards that shut names are not open in it
// any more. Control operations only.
func (s *Stream) publish(info *StreamInfo, shut []*shard) {
	defer s.e.fanout.revise(s)
	old := s.routes.Load()
	if old != nil && old.epoch == info.RouteEpoch && len(shut) == 0 {
		s.info.Store(info)
		return
	}
	known := map[uint32]*shard{}
	if old != nil {
		for _, sh := range old.shards {
			known[sh.id] = sh
		}
	}
	var fresh []*shard
	routes := newRouteMap(info, func(id uint32) *shard {
		if sh := known[id]; sh != nil {
			return sh
		}
		i := info.ShardByID(id)
		sh := &shard{s: s, id: id, index: i.Index, created: i.CreatedSeconds}
		fresh = append(fresh, sh)
		return sh
	})
	s.e.shards.put(fresh)
	s.info.Store(info)
	s.routes.Store(routes)
	if old != nil {
		close(old.superseded)
		s.e.shards.drop(shut)
	}
}

// accepts returns the current snapshot if records may be appended to it.
func (s *Stream) accepts() (*StreamInfo, *Error) {
	info := s.info.Load()
	if s.gone.Load() || info.Status != catalog.Active && info.Status != catalog.Updating {
		return nil, notFound(s.name)
	}
	return info, nil
}

// exists returns the current snapshot unless the stream is gone.
func (s *Stream) exists() (*StreamInfo, *Error) {
	if s.gone.Load() {
		return nil, notFound(s.name)
	}
	return s.info.Load(), nil
}

// beginControl takes the stream for a control operation that needs it ACTIVE, and returns its current snapshot. Without
// an error the caller unlocks s.control.
func (s *Stream) beginControl() (*StreamInfo, *Error) {
	s.control.Lock()
	info, err := s.exists()
	if err == nil && info.Status != catalog.Active {
		err = notActive(s.name, info.Status)
	}
	if err == nil {
		err = s.e.failed.Load()
	}
	if err != nil {
		s.control.Unlock()
		return nil, err
	}
	return info, nil
}

// commit makes next durable and then visible. shut are shards that are open before and not after.
func (s *Stream) commit(next *StreamInfo, shut []*shard) *Error {
	if err := s.e.cat.Put(next); err != nil {
		if s.e.cat.Err() != nil {
			// The change may or may not be on the disk. Shut shards must stay shut: after a restart they may be closed.
			s.e.fail(catalogError(err))
		}
		return catalogError(err)
	}
	s.publish(next, shut)
	return nil
}

// wakeAppenders makes appends that wait for a control operation look again, with the same routes.
func (s *Stream) wakeAppenders() {
	old := s.routes.Load()
	same := *old
	same.superseded = make(chan struct{})
	s.routes.Store(&same)
	close(old.superseded)
}
