package lane

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/vfs"
)

// Close in the middle of everything: appends that succeeded are there after reopening, whatever else was going on; those
// that did not say ErrClosed; readers and waiters end.
func TestCloseInTheMiddle(t *testing.T) {
	bothAppenders(t, func(t *testing.T, kind AppenderKind) {
		var reads atomic.Int64
		for round := range 25 {
			o := smallOptions(vfs.NewMem(0))
			o.Appender = kind
			l := open(t, o)
			c := &closing{t: t, l: l, tickets: make(map[uint64]bool)}
			var wg sync.WaitGroup
			stop := l.Observe(func(Watermarks) {})
			for p := range uint32(3) {
				wg.Go(func() { c.produce(p) })
				wg.Go(func() { reads.Add(c.consume(p)) })
			}
			time.Sleep(time.Duration(round*100) * time.Microsecond)
			for range 2 {
				wg.Go(func() {
					if err := l.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			stop()
			l = open(t, o)
			got := 0
			for shard := range uint32(3) {
				for _, b := range readAll(t, l, shard, 1<<20, LevelDisk) {
					if !c.tickets[b.Position()] {
						t.Fatalf("round %d: batch at %#x, of which nobody was told", round, b.Position())
					}
					got++
				}
			}
			if got != len(c.tickets) {
				t.Fatalf("round %d: %d batches, %d were appended", round, got, len(c.tickets))
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if reads.Load() == 0 {
			t.Error("nothing was read")
		}
	})
}

// closing is a lane in use when it is closed.
type closing struct {
	t       *testing.T
	l       *Lane
	mu      sync.Mutex
	tickets map[uint64]bool // positions of successful appends
}

func (c *closing) produce(shard uint32) {
	var mk maker
	for n := uint64(0); ; n++ {
		tk, err := appendWaiting(c.l, shard, mk.make(c.t, shard, uint64(shard), n, int(n%300)))
		if err != nil {
			if !errors.Is(err, ErrClosed) {
				c.t.Error(err)
			}
			return
		}
		c.mu.Lock()
		c.tickets[tk.Position] = true
		c.mu.Unlock()
		if n%8 == uint64(shard) {
			if err := c.l.Wait(context.Background(), tk.End, LevelDisk); err != nil {
				c.t.Errorf("waiting for what was appended: %v", err)
			}
		}
	}
}

func (c *closing) consume(shard uint32) (reads int64) {
	for {
		list, err := tryReadAll(c.l, shard, 1000, LevelMem)
		for _, b := range list {
			if _, _, err := label(b); err != nil {
				c.t.Error(err)
			}
			reads++
		}
		if errors.Is(err, ErrClosed) {
			return reads
		}
		if err != nil {
			c.t.Error(err)
			return reads
		}
	}
}
