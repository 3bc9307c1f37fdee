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
			var mu sync.Mutex
			tickets := make(map[uint64]bool)
			var wg sync.WaitGroup
			stop := l.Observe(func(Watermarks) {})
			for p := range uint64(3) {
				wg.Go(func() {
					var mk maker
					for n := uint64(0); ; n++ {
						tk, err := appendWaiting(l, uint32(p), mk.make(t, uint32(p), p, n, int(n%300)))
						if err != nil {
							if !errors.Is(err, ErrClosed) {
								t.Error(err)
							}
							return
						}
						mu.Lock()
						tickets[tk.Position] = true
						mu.Unlock()
						if n%8 == p {
							if err := l.Wait(context.Background(), tk.End, LevelDisk); err != nil {
								t.Errorf("waiting for what was appended: %v", err)
							}
						}
					}
				})
				wg.Go(func() {
					for {
						list, err := tryReadAll(l, uint32(p), 1000, LevelMem)
						for _, b := range list {
							if _, _, err := label(b); err != nil {
								t.Error(err)
							}
							reads.Add(1)
						}
						if errors.Is(err, ErrClosed) {
							return
						}
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
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
					if !tickets[b.Position()] {
						t.Fatalf("round %d: batch at %#x, of which nobody was told", round, b.Position())
					}
					got++
				}
			}
			if got != len(tickets) {
				t.Fatalf("round %d: %d batches, %d were appended", round, got, len(tickets))
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
