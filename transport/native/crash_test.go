package native_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/native"
	"github.com/shardmill/shardmill/transport/nativeclient"
)

// acked is what a producer was told of one record.
type acked struct {
	key string
	n   int

	from *nativeclient.Future
}

// The machine dies, or the process is killed, while producers are at work: every record acknowledged before is there
// after the restart, in order, and every future of the old connection comes to an end.
func TestCrashMidFlight(t *testing.T) {
	f := func(name string, level nativeclient.Level, crash func(*vfs.Mem) *vfs.Mem) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem(1 << 30)
			eo := engine.Options{FS: disk, Dir: "data", RingSize: 1 << 20, SegmentSize: 2 << 20}
			r := newRig(t, eo, native.Options{})
			const producers = 2
			var mu sync.Mutex
			known := make([][]acked, producers) // acknowledged, by producer; guarded by mu
			total := 0
			var wg sync.WaitGroup
			for g := range producers {
				c := r.dial(nativeclient.Options{})
				s := r.open(c, "s", 2, level)
				wg.Go(func() {
					p := s.NewProducer(nativeclient.ProducerOptions{Level: level, BatchBytes: 4096})
					sent := make(chan acked, 4096)
					wg.Go(func() {
						for i := 0; ; i++ {
							a := acked{key: fmt.Sprintf("g%d", g), n: i}
							a.from = p.Produce(t.Context(), []byte(a.key), fmt.Appendf(nil, "%d %0200d", i, i))
							sent <- a
							if c.Err() != nil {
								close(sent)
								return
							}
						}
					})
					failed := false
					for a := range sent {
						_, err := a.from.Wait(t.Context())
						if failed = failed || err != nil; failed {
							if err == nil {
								t.Errorf("record %d acknowledged behind one that failed", a.n)
							}
							continue
						}
						mu.Lock()
						known[g] = append(known[g], a)
						total++
						mu.Unlock()
					}
					if err := p.Close(); err == nil && !failed {
						t.Error("the server was closed and nothing failed")
					}
				})
			}
			eventually(t, "records acknowledged", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return total > 5000
			})
			mu.Lock()
			before := make([][]acked, producers)
			copy(before, known)
			after := crash(disk) // no acknowledgement is noted meanwhile; those on the way count for nothing
			mu.Unlock()
			if err := r.srv.Close(); err != nil {
				t.Fatal(err)
			}
			wg.Wait()

			r2 := newRig(t, engine.Options{FS: after, Dir: "data", RingSize: 1 << 20, SegmentSize: 2 << 20}, native.Options{})
			c := r2.dial(nativeclient.Options{})
			s, err := c.Open(t.Context(), "s", nil)
			if err != nil {
				t.Fatal(err)
			}
			got := drain(t, s)
			for g := range producers {
				recs := got[fmt.Sprintf("g%d", g)]
				if len(recs) < len(before[g]) {
					t.Fatalf("producer %d: %d records kept of %d acknowledged", g, len(recs), len(before[g]))
				}
				for i, rec := range recs {
					if want := fmt.Sprintf("%d %0200d", i, i); rec != want {
						t.Fatalf("producer %d: record %d is %.20q", g, i, rec)
					}
				}
			}
		})
	}
	f("kill, os", nativeclient.LevelOS, (*vfs.Mem).KillClone)
	f("kill, disk", nativeclient.LevelDisk, (*vfs.Mem).KillClone)
	f("power loss, disk", nativeclient.LevelDisk, func(m *vfs.Mem) *vfs.Mem {
		return m.CrashClone(rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano()))), 0.5)
	})
}
