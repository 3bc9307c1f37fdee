package nativeclient

import (
	"context"
	"errors"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/frame"
)

// send is the producer's goroutine: it finishes batches, which is where they are compressed, and sends them.
func (p *Producer) send() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		p.mu.Lock()
		b, next := p.pickLocked(time.Now())
		reroute := b == nil && p.rerouteDueLocked()
		p.mu.Unlock()
		switch {
		case b != nil:
			p.sendBatch(b)
			continue
		case reroute:
			p.reroute()
			continue
		}
		if next > 0 {
			timer.Reset(next)
		}
		select {
		case <-p.wake:
		case <-timer.C:
		case <-p.stop:
			return
		}
	}
}

// sendableLocked tells whether the queue has a batch to send. now may be zero: lingering is not looked at then.
func (p *Producer) sendableLocked(q *shardQueue, now time.Time) bool {
	switch {
	case q.stale:
		return false
	case len(q.full) > 0:
		return true
	case q.open == nil || len(q.open.futures) == 0:
		return false
	case q.flush:
		return true
	case p.o.Linger == 0:
		return q.inFlight == 0
	}
	return !now.IsZero() && now.Sub(q.since) >= p.o.Linger
}

// pickLocked takes the next batch to send, shard after shard; nil: there is none, but one may be due after next.
func (p *Producer) pickLocked(now time.Time) (b *pendingBatch, next time.Duration) {
	for i := range p.order {
		at := (p.turn + i) % len(p.order)
		q := p.order[at]
		if !p.sendableLocked(q, now) {
			if p.o.Linger > 0 && !q.stale && q.open != nil && len(q.open.futures) > 0 {
				if left := max(p.o.Linger-now.Sub(q.since), time.Microsecond); next == 0 || left < next {
					next = left
				}
			}
			continue
		}
		if len(q.full) > 0 {
			b = q.full[0]
			n := copy(q.full, q.full[1:])
			q.full[n] = nil
			q.full = q.full[:n]
		} else {
			b, q.open, q.flush = q.open, nil, false
		}
		q.inFlight++
		p.sent = append(p.sent, b)
		p.turn = at + 1
		return b, 0
	}
	return nil, next
}

// sendBatch sends a batch that is in sent already: its acknowledgement may be faster than the return of ProduceBatch.
func (p *Producer) sendBatch(b *pendingBatch) {
	built, err := b.builder.Finish()
	if err == nil {
		err = p.s.ProduceBatch(p.ctx, built, p.o.Level, 0, p)
	}
	if err == nil {
		return
	}
	// It was not sent, and only this goroutine adds to sent: it is the last there.
	p.mu.Lock()
	p.sent[len(p.sent)-1] = nil
	p.sent = p.sent[:len(p.sent)-1]
	b.q.inFlight--
	p.finishLocked(b, Ack{Err: err})
	p.mu.Unlock()
}

// Done implements Completion for the producer's batches. Acknowledgements of a connection come in the order of its
// PRODUCE frames.
func (p *Producer) Done(_ uint64, a Ack) {
	p.mu.Lock()
	b := p.sent[p.sentHead]
	p.sent[p.sentHead] = nil
	if p.sentHead++; 2*p.sentHead >= len(p.sent) {
		n := copy(p.sent, p.sent[p.sentHead:])
		clear(p.sent[n:])
		p.sent, p.sentHead = p.sent[:n], 0
	}
	q := b.q
	q.inFlight--
	if errors.Is(a.Err, ErrStaleRoute) && !p.dead() {
		q.stale = true
		q.back = append(q.back, b)
	} else {
		p.finishLocked(b, a)
	}
	wake := q.inFlight == 0
	p.mu.Unlock()
	if wake {
		signal(p.wake)
	}
}

func (p *Producer) dead() bool {
	select {
	case <-p.s.c.dead:
		return true
	default:
		return p.ctx.Err() != nil
	}
}

// finishLocked gives a batch's records their answer.
func (p *Producer) finishLocked(b *pendingBatch, a Ack) {
	b.ack = a
	p.buffered -= b.bytes
	p.recycleLocked(b)
	close(b.done)
	if p.waiting > 0 {
		signal(p.room)
	}
}

// rerouteDueLocked tells whether a shard is known to be closed and everything sent to it is back.
func (p *Producer) rerouteDueLocked() bool {
	due := false
	for _, q := range p.order {
		if q.stale && q.inFlight > 0 {
			return false
		}
		due = due || q.stale
	}
	return due
}

// reroute learns the stream's new shards and routes anew what shards that are closed now had. It runs on the producer's
// goroutine.
func (p *Producer) reroute() {
	next, err := p.newRoutes()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		open := make(map[uint32]bool, len(next.open))
		for i := range next.open {
			open[next.open[i].ID] = true
		}
		for _, q := range p.order {
			q.stale = q.stale || !open[q.id]
			if q.stale && q.inFlight > 0 {
				return // its batches come back first, so that its keys keep their order
			}
		}
	}
	stale := p.takeStaleLocked()
	if err == nil {
		p.routes = next
	}
	for _, q := range stale {
		for _, b := range q.batches() {
			if err != nil {
				p.finishLocked(b, Ack{Err: err})
			} else {
				p.moveLocked(b)
			}
		}
	}
}

// newRoutes asks for the stream's shards until none of the producer's stale ones is among the open: while a split or merge
// is under way the shard is closed already and its children are not known yet.
func (p *Producer) newRoutes() (*routes, error) {
	ctx, cancel := context.WithTimeout(p.ctx, routeTimeout)
	defer cancel()
	for wait := routeRetryMin; ; wait = min(2*wait, routeRetryMax) {
		if err := p.s.refresh(ctx, nil); err != nil {
			return nil, err
		}
		r := p.s.routes.Load()
		if !p.staleAmong(r) {
			return r, nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, &ServerError{Code: frame.CodeStaleRoute, Message: "the stream shows no shard in place of the closed one"}
		}
	}
}

func (p *Producer) staleAmong(r *routes) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range r.open {
		if q := p.queues[r.open[i].ID]; q != nil && q.stale {
			return true
		}
	}
	return false
}

// takeStaleLocked removes the queues of closed shards.
func (p *Producer) takeStaleLocked() (stale []*shardQueue) {
	keep := p.order[:0:0]
	for _, q := range p.order {
		if q.stale {
			stale = append(stale, q)
			delete(p.queues, q.id)
		} else {
			keep = append(keep, q)
		}
	}
	p.order = keep
	return stale
}

// batches returns everything a queue holds, in order.
func (q *shardQueue) batches() []*pendingBatch {
	all := append(q.back, q.full...)
	if q.open != nil {
		all = append(all, q.open)
	}
	return all
}

// moveLocked puts a batch's records into the batches of the shards that take them now, futures included.
func (p *Producer) moveLocked(b *pendingBatch) {
	flush := b.q.flush
	built, err := b.builder.Finish()
	if errors.Is(err, batch.ErrEmpty) {
		p.recycleLocked(b)
		close(b.done)
		return
	}
	var it batch.Iterator
	if err == nil {
		err = it.Reset(built)
	}
	moved := map[*pendingBatch]bool{}
	i, placed := 0, 0
	for ; err == nil && it.Next(); i++ {
		f, size := b.futures[i], len(it.Key())+len(it.Data())+recordOverhead
		var q *shardQueue
		if q, err = p.placeLocked(f, it.Key(), it.Data(), size); err != nil {
			break
		}
		placed += size
		q.flush = q.flush || flush
		if to := f.b.Load(); !moved[to] {
			moved[to] = true
			b.to = append(b.to, to)
		}
	}
	if err == nil {
		err = it.Err()
	}
	if err != nil { // nobody takes the record: the futures not yet moved, of which this is the first, fail
		rest := &pendingBatch{done: make(chan struct{}), ack: Ack{Err: err}}
		close(rest.done)
		for _, f := range b.futures[i:] {
			f.b.Store(rest)
		}
		b.to = append(b.to, rest)
	}
	b.moved = true
	p.buffered -= b.bytes - placed
	p.recycleLocked(b)
	close(b.done)
}
