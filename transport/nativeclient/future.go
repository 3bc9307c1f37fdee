package nativeclient

import (
	"context"
	"sync/atomic"
)

// Future is what becomes of one record. It may be waited for by any number of goroutines.
type Future struct {
	b atomic.Pointer[pendingBatch] // moves on, before the old batch's done is closed, when a record is routed anew
	i uint32                       // the record's place in its final batch
}

// Wait returns what became of the record: its position and arrival, or the error in both results. Errors: ctx's, which
// says nothing about the record; a *ServerError; why the connection ended, and then the record may have been appended
// or not; ErrTooLarge.
func (f *Future) Wait(ctx context.Context) (Ack, error) {
	for {
		b := f.b.Load()
		select {
		case <-b.done:
		case <-ctx.Done():
			return Ack{Err: ctx.Err()}, ctx.Err()
		}
		if b.moved {
			continue
		}
		a := b.ack
		if a.Err == nil {
			a.Position += uint64(f.i)
		}
		return a, a.Err
	}
}

// futureChunk is how many futures are allocated at a time.
const futureChunk = 256

// futures hands out futures from chunks. A chunk lives for as long as somebody holds one of its futures.
type futures struct{ chunk []Future }

func (s *futures) get() *Future {
	if len(s.chunk) == 0 {
		s.chunk = make([]Future, futureChunk)
	}
	f := &s.chunk[0]
	s.chunk = s.chunk[1:]
	return f
}

// failedFuture is the future of a record that was never taken.
func failedFuture(err error) *Future {
	b := &pendingBatch{done: make(chan struct{}), ack: Ack{Err: err}}
	close(b.done)
	f := new(Future)
	f.b.Store(b)
	return f
}
