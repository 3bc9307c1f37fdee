package lane

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// pinCount bounds how many readers copy from the ring at a time. A copy takes microseconds; a reader beyond them yields.
const pinCount = 64

// pins keep the ring's bytes in place while readers copy them. A pin holds 0 or the pinned position + 1.
//
//	reader                     raise
//	pin.Store(pos)             cut.Store(c)
//	cut.Load() <= pos ?        pin.Load() for each
//	copy                       limit.Store(min(c, pins) + ring size)
//	pin.Store(0)
//
// All four are in one total order. If the reader's load of cut comes before the store of a c above pos, then so does its
// pin, and raise sees the pin: limit stays within a ring size of pos, and nothing from pos on is overwritten. If it
// comes after, the reader sees the new cut and leaves the ring alone. Limits stored earlier were within a ring size of
// an earlier, lower cut.
type pins [pinCount]struct {
	at atomic.Uint64
	_  [120]byte
}

// pin keeps everything from pos on in the ring until unpin(slot), if it is still there.
func (l *Lane) pin(pos uint64) (slot int, ok bool) {
	if l.cut.Load() > pos {
		return 0, false // a pin so low, however short, would keep limit back: appends would find the ring full
	}
	slot = int(rand.Uint32N(pinCount))
	for tries := 1; !l.pins[slot].at.CompareAndSwap(0, pos+1); tries++ {
		slot = (slot + 1) % pinCount
		if tries%pinCount == 0 {
			runtime.Gosched()
		}
	}
	stress(stressPin)
	if l.cut.Load() > pos {
		l.unpin(slot)
		return 0, false
	}
	stress(stressPinned)
	return slot, true
}

func (l *Lane) unpin(slot int) { l.pins[slot].at.Store(0) }

// oldest is the lowest pinned position, or at most c.
func (p *pins) oldest(c uint64) uint64 {
	for i := range p {
		if v := p[i].at.Load(); v != 0 {
			c = min(c, v-1)
		}
	}
	return c
}

// spaceRecheck is how often a waiter for space looks for itself. Flushes wake waiters in turn; this covers what makes space
// without a flush (a reader's pin that goes) and a woken waiter that then appends nothing.
const spaceRecheck = 20 * time.Millisecond

// space moves cut and limit, and queues those who wait for it.
type space struct {
	mu      sync.Mutex // guards moving Lane.cut and Lane.limit, and queue
	queue   []*spaceWaiter
	waiting atomic.Int32 // len(queue)
}

type spaceWaiter struct {
	n    uint64
	wake chan struct{} // closed when space was found
}

// raise moves the limit to need or higher if what lies a ring size below it is no longer needed, and tells whether limit
// is there. Beyond need it frees no more than a quarter of the ring, so that readers find recent batches in memory.
func (s *space) raise(l *Lane, need uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raiseLocked(l, need)
}

func (s *space) raiseLocked(l *Lane, need uint64) bool {
	limit := l.limit.Load()
	if limit >= need {
		return true
	}
	r := l.ring.size()
	free := min(l.watermark(LevelOS), max(need+r/4, r)-r)
	if free > l.cut.Load() {
		l.cut.Store(free)
		stress(stressCut)
	}
	prepared := l.prepared.Load()
	if l.opts.FS == nil && prepared < need {
		prepared = l.prepareMemory()
	}
	oldest := l.pins.oldest(l.cut.Load())
	stress(stressLimit)
	if to := min(oldest+r, prepared, maxPosition); to > limit {
		l.limit.Store(to)
		limit = to
	}
	return limit >= need
}

// wait queues for room for n bytes.
func (s *space) wait(ctx context.Context, l *Lane, n uint64) error {
	var timer *time.Timer
	for {
		if err := l.Err(); err != nil {
			return err
		}
		t := l.tail.Load() &^ tailClosed
		s.mu.Lock()
		if s.raiseLocked(l, l.ring.place(t, n)+n) {
			s.mu.Unlock()
			return nil
		}
		w := &spaceWaiter{n: n, wake: make(chan struct{})}
		s.queue = append(s.queue, w)
		s.waiting.Store(int32(len(s.queue)))
		s.mu.Unlock()
		if timer == nil {
			timer = time.NewTimer(spaceRecheck)
			defer timer.Stop()
		} else {
			timer.Reset(spaceRecheck)
		}
		select {
		case <-w.wake:
		case <-timer.C:
			s.leave(w)
		case <-ctx.Done():
			s.leave(w)
			s.free(l) // it may have been woken: the next one's turn
			return ctx.Err()
		}
	}
}

func (s *space) leave(w *spaceWaiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.queue {
		if q == w {
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			break
		}
	}
	s.waiting.Store(int32(len(s.queue)))
}

// free wakes as many waiters, in turn, as there is room for.
func (s *space) free(l *Lane) {
	if s.waiting.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := l.tail.Load() &^ tailClosed
	for len(s.queue) > 0 {
		w := s.queue[0]
		at = l.ring.place(at, w.n) + w.n
		if !s.raiseLocked(l, at) {
			break
		}
		close(w.wake)
		s.queue = s.queue[1:]
	}
	s.waiting.Store(int32(len(s.queue)))
}

// fail wakes everybody: the lane has stopped.
func (s *space) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.queue {
		close(w.wake)
	}
	s.queue = nil
	s.waiting.Store(0)
}
