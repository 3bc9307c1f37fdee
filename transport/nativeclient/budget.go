package nativeclient

import (
	"context"
	"sync"
)

// budget bounds bytes in flight. Something larger than the limit gets in when it is alone.
type budget struct {
	mu    sync.Mutex
	limit int
	used  int
	wait  int           // callers in acquire's slow path
	room  chan struct{} // one token: somebody should look again
}

func (b *budget) init(limit int) {
	b.limit = limit
	b.room = make(chan struct{}, 1)
}

func (b *budget) try(n int) bool {
	if b.used+n <= b.limit || b.used == 0 {
		b.used += n
		return true
	}
	return false
}

// acquire takes n bytes, waiting for them until ctx or the connection ends.
func (b *budget) acquire(ctx context.Context, n int, dead <-chan struct{}) error {
	b.mu.Lock()
	if b.try(n) {
		b.mu.Unlock()
		return nil
	}
	b.wait++
	b.mu.Unlock()
	var err error
	for {
		select {
		case <-b.room:
		case <-ctx.Done():
			err = ctx.Err()
		case <-dead:
			err = ErrClosed
		}
		b.mu.Lock()
		if err != nil || b.try(n) {
			b.wait--
			b.signalLocked() // there may be room for one more
			b.mu.Unlock()
			return err
		}
		b.mu.Unlock()
	}
}

func (b *budget) release(n int) {
	b.mu.Lock()
	b.used -= n
	b.signalLocked()
	b.mu.Unlock()
}

func (b *budget) signalLocked() {
	if b.wait == 0 {
		return
	}
	select {
	case b.room <- struct{}{}:
	default:
	}
}
