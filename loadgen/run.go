package loadgen

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// maxRecorders bounds the histograms in memory (140 KB each, up to three per recorder); beyond it workers share.
const maxRecorders = 64

// run is one run of a load.
type run struct {
	c        Config
	endpoint Endpoint
	target   target
	id       uint64
	clock    *clock
	when     phases
	ended    int64 // when the last worker stopped
	payload  PayloadInfo

	book      *book
	recorders []*recorder // of the workers, then one per consumer
	workers   []*worker
	back      *readback // nil: nothing is read
	collector *collector
}

// Run puts the load of c on its target and reports. It may be called concurrently, for different streams.
//
// The error is one of errors.go, or ctx's. Beside one that concerns what happened under load there is a report of what
// was measured until then.
func Run(ctx context.Context, c Config) (*Report, error) {
	c, endpoint, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return runOn(ctx, c, endpoint, newTarget(&c, endpoint))
}

// runOn is Run on a given target, which it closes. c is complete.
func runOn(ctx context.Context, c Config, endpoint Endpoint, t target) (*Report, error) {
	r := &run{c: c, endpoint: endpoint, target: t, clock: newClock()}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	r.id = binary.LittleEndian.Uint64(id[:])
	report, err := r.do(ctx)
	// What matters has been said; a connection that does not close cleanly changes nothing about it.
	_ = t.close()
	return report, err
}

func (r *run) do(ctx context.Context) (*Report, error) {
	if err := r.prepare(ctx); err != nil {
		r.closeWorkers()
		return nil, err
	}
	if r.c.TuneGC {
		defer tuneGC()()
	}
	r.collector = newCollector(r)
	begin := r.clock.now() // from here on nothing is in the way of the first request
	r.when.measure = begin + int64(r.c.Warmup)
	r.when.end = r.when.measure + int64(r.c.Duration)
	for i, w := range r.workers {
		w.when = r.when
		if r.c.Mode == Open {
			w.sched = newSchedule(&r.c, i, len(r.workers), len(w.pool.requests[0].marks), begin)
		}
	}
	r.collector.start()

	following, stopFollowing := context.WithCancel(ctx)
	defer stopFollowing()
	var consumers sync.WaitGroup
	if r.back != nil {
		r.back.timed(r)
		consumers.Go(func() { r.back.follow(following) })
	}
	failure := r.load(ctx)
	r.ended = r.clock.now()
	r.closeWorkers()
	stopFollowing()
	consumers.Wait()

	verified, err := r.verify(ctx, failure)
	r.collector.finish()
	return r.report(verified, err, failure), err
}

// load runs the workers to the end. The error is ErrTargetFailed or ctx's.
func (r *run) load(ctx context.Context) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	patience := r.clock.start.Add(time.Duration(r.when.end) + r.c.Timeout)
	sending, cancel := context.WithDeadline(running, patience)
	defer cancel()

	var workers, watch sync.WaitGroup
	for _, w := range r.workers {
		workers.Go(func() {
			if err := w.loop(sending); err != nil {
				stop(err)
			}
		})
	}
	watching, stopWatching := context.WithCancel(running)
	watch.Go(func() {
		if err := r.collector.watch(watching); err != nil {
			stop(err)
		}
	})
	workers.Wait()
	stopWatching()
	watch.Wait()
	if err := context.Cause(running); err != nil {
		return err
	}
	return nil
}

// prepare does everything that can be done before the clock runs.
func (r *run) prepare(ctx context.Context) error {
	var l *lines
	var err error
	if r.c.Payload != "" {
		if l, err = readLines(r.c.Payload); err != nil {
			return err
		}
	}
	if r.payload, err = describePayload(&r.c, l); err != nil {
		return err
	}
	if err := r.target.open(ctx); err != nil {
		return unreachable(ctx, err)
	}
	n := r.c.workers(r.endpoint.Scheme == SchemeNative)
	r.book = newBook(r.id, n, r.c.keysPerWorker(n))
	r.makeRecorders(min(n, maxRecorders))
	if r.c.Consumers > 0 || !r.c.NoVerify {
		if r.back, err = newReadback(ctx, r); err != nil {
			return unreachable(ctx, err)
		}
	}
	window := 1
	if r.endpoint.Scheme == SchemeNative {
		window = r.c.Window
	}
	for id := range uint32(n) {
		if err := r.addWorker(ctx, id, n, window, l); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) addWorker(ctx context.Context, id uint32, workers, window int, l *lines) error {
	w := newWorker(r, id, window)
	r.workers = append(r.workers, w)
	var err error
	if w.sleep, err = newSleeper(); err != nil {
		return err
	}
	if w.sender, err = r.target.sender(ctx, id, w); err != nil {
		return unreachable(ctx, err)
	}
	w.pool, err = newPool(&r.c, r.id, id, workers, l, w.sender)
	return err
}

// unreachable classes an error from before the load.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, ErrConfig) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

func (r *run) makeRecorders(n int) {
	measured := shape{opService: true}
	if r.c.Mode == Open {
		measured[opResponse], measured[opLag] = true, true
	}
	for range n {
		r.recorders = append(r.recorders, newRecorder(measured))
	}
}

func (r *run) closeWorkers() {
	for _, w := range r.workers {
		if w.sender != nil {
			_ = w.sender.close() // everything that was to be acknowledged has been, or was given up
		}
		if w.sleep != nil {
			_ = w.sleep.close()
		}
	}
}

// verify reads back what has not been read yet, if it is to be. The error includes failure, the load's own, if any.
func (r *run) verify(ctx context.Context, failure error) (*Integrity, error) {
	if r.back == nil {
		return nil, failure
	}
	defer r.back.close()
	if ctx.Err() != nil {
		return nil, failure
	}
	if r.c.NoVerify {
		if err := r.back.failure(); err != nil && failure == nil {
			return nil, fmt.Errorf("%w: %w", ErrVerify, err)
		}
		return nil, failure
	}
	if failure != nil {
		// The target may be gone: see what it still gives, but not for long.
		short, cancel := context.WithTimeout(ctx, min(r.c.Timeout, 10*time.Second))
		defer cancel()
		ctx = short
	}
	if err := r.back.finish(ctx); err != nil {
		if failure != nil {
			return nil, failure // which says it all
		}
		return nil, fmt.Errorf("%w: %w", ErrVerify, err)
	}
	out := r.book.outcome()
	if out.violated() {
		return &out, errors.Join(failure, fmt.Errorf("%w: %d lost, %d duplicates, %d out of order, %d corrupt", ErrIntegrity,
			out.Lost, out.Duplicates, out.Disorder, out.Corrupt))
	}
	return &out, failure
}

// tuneGC keeps the garbage collector from running until a gigabyte has been added, and returns what undoes that.
func tuneGC() (restore func()) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	limit := debug.SetMemoryLimit(int64(m.Sys) + 1<<30)
	percent := debug.SetGCPercent(-1)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}
