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

// ledger notes what producers were told of, by producer.
type ledger struct {
	mu    sync.Mutex // guards the following
	known [][]acked
	total int
}

func (l *ledger) add(g int, a acked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[g] = append(l.known[g], a)
	l.total++
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// crash copies what is known and the disk, at one moment as far as acknowledgements go: none is noted in between.
func (l *ledger) crash(disk *vfs.Mem, how func(*vfs.Mem) *vfs.Mem) (known [][]acked, after *vfs.Mem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(known, l.known...), how(disk)
}

func (a acked) data() string { return fmt.Sprintf("%d %0200d", a.n, a.n) }

// produceUntilDead produces record after record and notes what is acknowledged, until the connection has died.
func produceUntilDead(t *testing.T, c *nativeclient.Client, s *nativeclient.Stream, level nativeclient.Level, g int, l *ledger) {
	p := s.NewProducer(nativeclient.ProducerOptions{Level: level, BatchBytes: 4096})
	sent := make(chan acked, 4096)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(sent)
		for i := 0; c.Err() == nil; i++ {
			a := acked{key: fmt.Sprintf("g%d", g), n: i}
			a.from = p.Produce(t.Context(), []byte(a.key), []byte(a.data()))
			sent <- a
		}
	})
	failed := false
	for a := range sent {
		_, err := a.from.Wait(t.Context())
		switch {
		case err != nil:
			failed = true
		case failed:
			t.Errorf("record %d acknowledged behind one that failed", a.n)
		default:
			l.add(g, a)
		}
	}
	wg.Wait()
	if _, err := p.Produce(t.Context(), []byte("k"), []byte("d")).Wait(t.Context()); err == nil {
		t.Error("a record was acknowledged on a connection that is dead")
	}
	_ = p.Close() // what it flushed has failed, of course
}

// The machine dies, or the process is killed, while producers are at work: every record acknowledged before is there
// after the restart, in order, and every future of the old connection comes to an end.
func TestCrashMidFlight(t *testing.T) {
	f := func(name string, level nativeclient.Level, crash func(*vfs.Mem) *vfs.Mem) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			const producers = 2
			disk, l := vfs.NewMem(1<<30), &ledger{known: make([][]acked, producers)}
			r := newRig(t, engine.Options{FS: disk, Dir: "data", RingSize: 1 << 20, SegmentSize: 2 << 20}, native.Options{})
			var wg sync.WaitGroup
			for g := range producers {
				c := r.dial(nativeclient.Options{})
				s := r.open(c, "s", 2, level)
				wg.Go(func() { produceUntilDead(t, c, s, level, g, l) })
			}
			eventually(t, "records acknowledged", func() bool { return l.count() > 5000 })
			before, after := l.crash(disk, crash)
			if err := r.srv.Close(); err != nil {
				t.Fatal(err)
			}
			wg.Wait()

			r2 := newRig(t, engine.Options{FS: after, Dir: "data", RingSize: 1 << 20, SegmentSize: 2 << 20}, native.Options{})
			s, err := r2.dial(nativeclient.Options{}).Open(t.Context(), "s", nil)
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
					if rec != (acked{n: i}).data() {
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
