package loadgen

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// phases are the moments of a run, nanoseconds on its clock.
// What was not sent or acknowledged in time after the end is given up by the deadline of the workers' context.
type phases struct {
	measure int64 // warm-up ends
	end     int64 // nothing is scheduled from here on
}

// worker sends one ordered sequence of requests. loop runs on its own goroutine; done on the sender's.
type worker struct {
	id     uint32
	c      *Config
	clock  *clock
	when   phases
	book   *book
	rec    *recorder
	pool   *pool
	sender sender
	sched  *schedule // open mode only
	sleep  *sleeper

	next  uint64      // number of the next record
	slots []slot      // what is known of each request in flight, by tag
	free  chan uint64 // tags that are not in flight; whoever holds a tag owns its slot
	bad   atomic.Bool // the last request failed: do not rush into the next
	// Read after loop has returned: how many records the schedule had in the measured window, and how many of its
	// requests were given up at the end.
	scheduled, unsent int64
}

// slot is one request in flight.
type slot struct {
	intended, sent int64
	first          uint64
	records, bytes int
}

func newWorker(r *run, id uint32, window int) *worker {
	w := &worker{
		id: id, c: &r.c, clock: r.clock, book: r.book, rec: r.recorders[int(id)%len(r.recorders)],
		slots: make([]slot, window), free: make(chan uint64, window),
	}
	for tag := range window {
		w.free <- uint64(tag)
	}
	return w
}

// loop sends until the run's end, then waits for what is in flight. ctx is done when nothing may be waited for any more.
// An error means that the target failed.
func (w *worker) loop(ctx context.Context) error {
	var err error
	if w.c.Mode == Open {
		err = w.open(ctx)
	} else {
		err = w.saturate(ctx)
	}
	if err != nil {
		return err
	}
	return w.drain(ctx)
}

func (w *worker) saturate(ctx context.Context) error {
	for {
		tag, ok := w.tag(ctx)
		if !ok {
			return nil
		}
		now := w.clock.now()
		if now >= w.when.end || ctx.Err() != nil {
			w.free <- tag
			return nil
		}
		if err := w.send(ctx, w.pool.next(), tag, now, now); err != nil {
			return err
		}
		if w.bad.Load() {
			// A target that refuses gets a moment; without it a refusal costs less than a success and the run
			// would be a flood of errors.
			if err := w.sleep.sleep(int64(time.Millisecond)); err != nil {
				return err
			}
		}
	}
}

// open sends everything that is due, with its intended time, however late, and sleeps until more is.
func (w *worker) open(ctx context.Context) error {
	for {
		due := w.sched.due()
		if due >= w.when.end {
			return nil
		}
		if ctx.Err() != nil {
			w.giveUp()
			return nil
		}
		now := w.clock.now()
		if due > now {
			if err := w.sleep.sleep(min(max(due-now, minPause), maxPause)); err != nil {
				return err
			}
			continue
		}
		tag, ok := w.tag(ctx)
		if !ok {
			w.giveUp()
			return nil
		}
		r := w.pool.next()
		w.advance(due, len(r.marks))
		if err := w.send(ctx, r, tag, due, w.clock.now()); err != nil {
			return err
		}
	}
}

// giveUp counts what was scheduled and will not be sent.
func (w *worker) giveUp() {
	for due := w.sched.due(); due < w.when.end; due = w.sched.due() {
		w.unsent++
		w.advance(due, len(w.pool.next().marks))
	}
}

func (w *worker) advance(due int64, records int) {
	if due >= w.when.measure {
		w.scheduled += int64(records)
	}
	w.sched.advance(records)
}

// tag waits for a free one. It does not allocate.
func (w *worker) tag(ctx context.Context) (uint64, bool) {
	select {
	case tag := <-w.free:
		return tag, true
	default:
	}
	select {
	case tag := <-w.free:
		return tag, true
	case <-ctx.Done():
		return 0, false
	}
}

// send stamps and sends one request.
func (w *worker) send(ctx context.Context, r *request, tag uint64, intended, now int64) error {
	s := &w.slots[tag]
	*s = slot{intended: intended, sent: now, first: w.next, records: len(r.marks), bytes: r.bytes}
	w.next += uint64(len(r.marks))
	w.sender.stamp(r, s.first, w.clock.unix+intended)
	w.book.workers[w.id].sent.Store(w.next)
	if err := w.sender.send(ctx, r, tag); err != nil {
		if ctx.Err() != nil {
			return nil // the run was stopped; the loop sees it
		}
		return fmt.Errorf("%w: worker %d: %w", ErrTargetFailed, w.id, err)
	}
	return nil
}

var _ completion = (*worker)(nil)

// done takes the outcome of a request; see completion.
func (w *worker) done(tag uint64, o outcome) {
	s := &w.slots[tag]
	if errors.Is(o.err, context.Canceled) {
		w.free <- tag // the run was stopped: not the target's fault, and nothing is known of the records
		return
	}
	if o.err != nil {
		w.bad.Store(true)
		w.rec.failed(errorKind(o.err), 1)
		w.free <- tag
		return
	}
	w.bad.Store(len(o.failed) == s.records)
	now := w.clock.now()
	w.book.ack(w.id, s.first, s.records, o.failed)
	if len(o.failed) > 0 {
		w.rec.failed(o.why.Code, int64(len(o.failed)))
	}
	taken := s.records - len(o.failed)
	w.rec.acknowledged(sample{
		intended: s.intended, sent: s.sent, acked: now,
		records: taken, bytes: s.bytes * taken / s.records,
	}, s.intended >= w.when.measure && s.intended < w.when.end, now >= w.when.measure && now < w.when.end)
	w.free <- tag // last: the slot is the loop's again
}

// drain waits until nothing is in flight or ctx, whose deadline is the end of all patience, is done.
func (w *worker) drain(ctx context.Context) error {
	for w.inFlight() > 0 {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				w.rec.failed("unacknowledged", int64(w.inFlight()))
			}
			return nil
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

func (w *worker) inFlight() int { return cap(w.free) - len(w.free) }

// errorKind is a short name for counting.
func errorKind(err error) string {
	var refused *RequestError
	switch {
	case errors.As(err, &refused):
		return refused.Code
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return kindOfNetError(err)
}
