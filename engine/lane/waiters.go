package lane

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"sync/atomic"
)

// waiters are those who wait for a watermark, and those who watch all of them.
type waiters struct {
	levels [levels]levelWaiters

	watchMu  sync.RWMutex // held for reading while observers run
	watchers map[*observer]struct{}
	// listening counts observers and LevelMem waiters: those whom a lane without files must tell of publications.
	listening atomic.Int32
}

type observer struct{ fn func(Watermarks) }

// levelWaiters are those who wait for one watermark, lowest position first.
type levelWaiters struct {
	lowest atomic.Uint64 // end of the first waiter, MaxUint64 for none: the committer looks here before it takes mu
	mu     sync.Mutex    // guards the following
	heap   waiterHeap
	failed error // no watermark moves any more
}

// waiter is reused; ready has room for the one value that is ever in it.
type waiter struct {
	end   uint64
	index int // in the heap, -1 once it is out
	err   error
	ready chan struct{}
}

func (ws *waiters) init() {
	for i := range ws.levels {
		ws.levels[i].lowest.Store(math.MaxUint64)
	}
	ws.watchers = make(map[*observer]struct{})
}

// wait blocks until level's watermark is at end.
func (ws *waiters) wait(ctx context.Context, l *Lane, end uint64, level Level) error {
	ws.listening.Add(1)
	defer ws.listening.Add(-1)
	lw := &ws.levels[level]
	w := &waiter{end: end, ready: make(chan struct{}, 1)}
	lw.mu.Lock()
	if lw.failed != nil {
		defer lw.mu.Unlock()
		if l.watermark(level) >= end {
			return nil
		}
		return lw.failed
	}
	heap.Push(&lw.heap, w)
	lw.lowest.Store(lw.heap[0].end)
	lw.mu.Unlock()

	// The committer stores a watermark, then loads lowest; this stores lowest, then loads the watermark. One sees the other.
	l.waitBegins(end, level)
	lw.pop(l.watermark(level))
	select {
	case <-w.ready:
		return w.err
	case <-ctx.Done():
	}
	lw.mu.Lock()
	defer lw.mu.Unlock()
	if w.index < 0 { // it came through meanwhile
		return w.err
	}
	heap.Remove(&lw.heap, w.index)
	lw.update()
	return ctx.Err()
}

// waitBegins gets the committer to work for a waiter that has just queued.
func (l *Lane) waitBegins(end uint64, level Level) {
	switch {
	case l.opts.FS == nil || level == LevelMem:
		l.flusher.poke()
	case level == LevelDisk:
		l.want(end)
	}
}

// pop wakes everybody who waits for no more than watermark.
func (lw *levelWaiters) pop(watermark uint64) {
	if lw.lowest.Load() > watermark {
		return
	}
	lw.mu.Lock()
	defer lw.mu.Unlock()
	for len(lw.heap) > 0 && lw.heap[0].end <= watermark {
		heap.Pop(&lw.heap).(*waiter).ready <- struct{}{}
	}
	lw.update()
}

func (lw *levelWaiters) update() {
	if len(lw.heap) == 0 {
		lw.lowest.Store(math.MaxUint64)
	} else {
		lw.lowest.Store(lw.heap[0].end)
	}
}

// fail answers everybody who waits, now and later, with err.
func (ws *waiters) fail(err error) {
	for i := range ws.levels {
		lw := &ws.levels[i]
		lw.mu.Lock()
		if lw.failed == nil {
			lw.failed = err
		}
		for len(lw.heap) > 0 {
			w := heap.Pop(&lw.heap).(*waiter)
			w.err = err
			w.ready <- struct{}{}
		}
		lw.update()
		lw.mu.Unlock()
	}
}

func (ws *waiters) observe(fn func(Watermarks)) (stop func()) {
	o := &observer{fn: fn}
	ws.watchMu.Lock()
	defer ws.watchMu.Unlock()
	ws.watchers[o] = struct{}{}
	ws.listening.Add(1)
	return sync.OnceFunc(func() {
		ws.watchMu.Lock()
		defer ws.watchMu.Unlock()
		delete(ws.watchers, o)
		ws.listening.Add(-1)
	})
}

// announce tells waiters and observers how far the lane has come.
func (ws *waiters) announce(l *Lane) {
	for level := range Level(levels) {
		ws.levels[level].pop(l.watermark(level))
	}
	ws.watchMu.RLock()
	defer ws.watchMu.RUnlock()
	if len(ws.watchers) == 0 {
		return
	}
	now := l.Watermarks()
	for o := range ws.watchers {
		o.fn(now)
	}
}

// waiterHeap is a container/heap by end.
type waiterHeap []*waiter

func (h waiterHeap) Len() int           { return len(h) }
func (h waiterHeap) Less(i, j int) bool { return h[i].end < h[j].end }
func (h waiterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push and Pop are container/heap's.
func (h *waiterHeap) Push(x any) {
	w := x.(*waiter)
	w.index = len(*h)
	*h = append(*h, w)
}

// Pop removes the last.
func (h *waiterHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.index = -1
	return w
}
