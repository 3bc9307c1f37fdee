package lane

import (
	"sync"
	"sync/atomic"
	"time"
)

// worker is the sleep of a background goroutine. Whoever gives it work stores the work first and calls wake then; the
// goroutine calls sleep with a look for work. Both orders are sequentially consistent, so one of the two sees the other:
// no work is left lying, and waking one that is not asleep costs one load.
type worker struct {
	state   atomic.Uint32
	bell    chan struct{} // room for one
	quit    atomic.Bool   // finish what there is and return
	running sync.WaitGroup
}

const (
	awake  = iota
	asleep // to be woken by wake
	deaf   // asleep, and only poke wakes: nobody listens to what wake would tell
)

func (w *worker) init() { w.bell = make(chan struct{}, 1) }

func (w *worker) start(loop func()) { w.running.Go(loop) }

// finish tells the goroutine to finish its work and waits until it has returned. One that was never started is finished.
func (w *worker) finish() {
	w.quit.Store(true)
	w.poke()
	w.running.Wait()
}

// wake wakes the goroutine if it is asleep. It never blocks.
func (w *worker) wake() {
	if w.state.Load() == asleep && w.state.CompareAndSwap(asleep, awake) {
		w.bell <- struct{}{}
	}
}

// poke wakes the goroutine also when it is deaf.
func (w *worker) poke() {
	if w.state.Swap(awake) != awake {
		w.bell <- struct{}{}
	}
}

// sleep returns when woken, at once if ready, and after d where d is above 0. It sleeps deaf if that is asked for.
func (w *worker) sleep(how uint32, ready func() bool, d time.Duration) {
	w.state.Store(how)
	if ready() {
		w.rise()
		return
	}
	if d <= 0 {
		<-w.bell
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.bell:
	case <-timer.C:
		w.rise()
	}
}

// rise gets up unwoken: a bell that rang meanwhile must not ring again.
func (w *worker) rise() {
	if w.state.Swap(awake) == awake {
		<-w.bell
	}
}
