package lane

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"
)

// Close flushes, syncs, seals and releases. Idempotent: later calls return what the first did, after it is done. After a
// disk failure it writes nothing more and returns that failure. Readers at work finish first.
func (l *Lane) Close() error {
	l.closeOnce.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Lane) close() error {
	closed := ErrClosed
	l.stopped.CompareAndSwap(nil, &closed)
	l.tail.Or(tailClosed)
	l.space.fail()
	// Claims made before are finished by their appenders; they wait for nothing but a processor.
	await(func() bool { return l.published() == l.tail.Load()&^tailClosed })
	for _, w := range []*worker{&l.preparer, &l.flusher, &l.syncer, &l.sealer} { // each finds the one before at its end
		w.finish()
	}
	if l.opts.FS != nil && !l.broken.Load() {
		if err := l.sealLast(); err != nil {
			l.stop(err)
		}
	}
	l.waiters.fail(l.Err())
	l.closed.Store(true)
	// Readers look at cut after they pin: none starts to copy from the ring any more.
	l.space.mu.Lock()
	l.cut.Store(math.MaxUint64)
	l.space.mu.Unlock()
	await(func() bool { return l.pins.oldest(math.MaxUint64) == math.MaxUint64 })
	l.ring.release()
	err := l.releaseFiles()
	if l.broken.Load() {
		err = errors.Join(l.Err(), err)
	}
	return err
}

// sealLast seals what has been started and removes what was made ahead. An empty segment is sealed too: its place in the
// address space has been told to readers as the end of the log, so the next run must start above it.
func (l *Lane) sealLast() error {
	end := l.published()
	if w := l.Watermarks(); w.Durable != end {
		panic(fmt.Sprintf("BUG: closing at %+v", w))
	}
	for _, s := range l.segs.all() {
		switch {
		case s.foot.Load() != nil:
		case s.base <= end:
			if err := l.seal(s, min(end, s.end())); err != nil {
				return err
			}
		default:
			if err := l.removeSegment(s); err != nil {
				return fmt.Errorf("remove segment %s: %w", s.name, err)
			}
		}
	}
	return nil
}

// releaseFiles closes every file, once readers are through with it, and unlocks the folder.
func (l *Lane) releaseFiles() error {
	l.closed.Store(true)
	var errs []error
	ss := &l.segs
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range append(ss.doomed, ss.all()...) {
		await(func() bool {
			s.fileMu.Lock()
			defer s.fileMu.Unlock()
			return s.users == 0
		})
		s.fileMu.Lock()
		errs = append(errs, s.closeFile())
		s.fileMu.Unlock()
	}
	if l.unlock != nil {
		errs = append(errs, l.unlock())
		l.unlock = nil
	}
	return errors.Join(errs...)
}

// closedReading is the error of a lane that is not read any more.
func (l *Lane) closedReading() error {
	if l.closed.Load() {
		return ErrClosed
	}
	return nil
}

// await waits for something that other goroutines are about to do.
func await(done func() bool) {
	for tries := 0; !done(); tries++ {
		if tries < 100 {
			runtime.Gosched()
		} else {
			time.Sleep(50 * time.Microsecond)
		}
	}
}

// freeWithLane gives the ring's address range back when nothing refers to the lane any more.
func freeWithLane(l *Lane, r *ring) { runtime.AddCleanup(l, unmapRing, r.mem) }
