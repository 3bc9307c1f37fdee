package lane

import (
	"sync"

	"github.com/shardmill/shardmill/codec/batch"
)

// mutexAppender does under one lock what lockFreeAppender does without. It is the reference the other is compared with.
type mutexAppender struct {
	lane *Lane
	mu   sync.Mutex // guards claiming, the ring above the published watermark, and publishing
}

func (a *mutexAppender) append(shard uint32, b batch.Batch) (Ticket, error) {
	l := a.lane
	var c claim
	c.Kind, c.Key, c.Len, c.Shard, c.records = batch.KindData, l.key, uint32(len(b)), shard, b.Records()
	n := uint64(len(b))
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		c.start = l.tail.Load()
		if c.start&tailClosed != 0 {
			return Ticket{}, l.closedError()
		}
		c.Position = l.ring.place(c.start, n)
		if c.Position+n > l.limit.Load() && !l.space.raise(l, c.Position+n) {
			return Ticket{}, ErrBusy
		}
		c.Micros = l.clock.now()
		if l.tail.CompareAndSwap(c.start, c.Position+n) {
			break // else closed in between: nothing else moves tail
		}
	}
	l.fill(&c, b)
	l.commit(&c)
	l.publishing.add(l, c.Position, n, c.records, shard, c.Micros)
	l.head.Store(c.Position + n)
	l.madeVisible(l.publishing.takeRolled())
	return Ticket{Position: c.Position, End: c.Position + n, Micros: c.Micros}, nil
}
