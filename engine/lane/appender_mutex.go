package lane

import (
	"sync"

	"github.com/shardmill/shardmill/codec/batch"
)

// mutexAppender does under one lock what lockFreeAppender does without. It is the reference the other is compared with.
type mutexAppender struct {
	lane *Lane
	mu   sync.Mutex // guards claiming, the ring above Lane.published, and publishing
}

func (a *mutexAppender) append(shard uint32, b batch.Batch) (Ticket, error) {
	l := a.lane
	n := uint64(len(b))
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		t := l.tail.Load()
		if t&tailClosed != 0 {
			return Ticket{}, l.closedError()
		}
		s := l.ring.place(t, n)
		if s+n > l.limit.Load() && !l.space.raise(l, s+n) {
			return Ticket{}, ErrBusy
		}
		micros := l.clock.now()
		if !l.tail.CompareAndSwap(t, s+n) {
			continue // closed in between; nothing else moves tail
		}
		l.fill(t, s, shard, micros, b)
		l.publish()
		return Ticket{Position: s, End: s + n, Micros: micros}, nil
	}
}
