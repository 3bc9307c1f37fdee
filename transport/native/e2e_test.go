package native_test

import (
	"context"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/native"
	"github.com/shardmill/shardmill/transport/nativeclient"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// gnet keeps one pool of goroutines per process; it is made when the package is loaded.
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

// rig is an engine, a server and whatever clients a test dials, closed in the right order at its end.
type rig struct {
	t   testing.TB
	eng *engine.Engine
	srv *native.Server
}

func newRig(t testing.TB, eo engine.Options, so native.Options) *rig {
	t.Helper()
	eng, err := engine.Open(eo)
	if err != nil {
		t.Fatal(err)
	}
	so.Addr, so.Engine = "127.0.0.1:0", eng
	srv, err := native.Listen(so)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil && err != native.ErrClosed { //nolint:errorlint // returned as it is
			t.Errorf("close server: %v", err)
		}
		if err := eng.Close(); err != nil {
			t.Logf("close engine: %v", err)
		}
	})
	return &rig{t: t, eng: eng, srv: srv}
}

func memOptions() engine.Options {
	return engine.Options{FS: vfs.NewMem(1 << 30), Dir: "data", RingSize: 8 << 20, SegmentSize: 16 << 20}
}

func (r *rig) dial(o nativeclient.Options) *nativeclient.Client {
	r.t.Helper()
	o.Addr = r.srv.Addr().String()
	c, err := nativeclient.Dial(context.Background(), o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (r *rig) open(c *nativeclient.Client, name string, shards int, level nativeclient.Level) *nativeclient.Stream {
	r.t.Helper()
	s, err := c.Open(r.t.Context(), name, &nativeclient.Create{Shards: shards, Routing: hashkey.XXH64, Level: level})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// collector is a Completion that counts and keeps what it is told.
type collector struct {
	mu   sync.Mutex
	cond *sync.Cond
	acks []nativeclient.Ack
	tags []uint64
}

func newCollector() *collector {
	c := &collector{}
	c.cond = sync.NewCond(&c.mu)
	return c
}

func (c *collector) Done(tag uint64, a nativeclient.Ack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acks, c.tags = append(c.acks, a), append(c.tags, tag)
	c.cond.Broadcast()
}

func (c *collector) wait(n int) []nativeclient.Ack {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.acks) < n {
		c.cond.Wait()
	}
	return c.acks
}

func makeBatch(t testing.TB, b *batch.Builder, shard uint32, epoch uint16, records ...string) batch.Batch {
	t.Helper()
	b.Reset(shard, batch.BuildOptions{RouteEpoch: epoch})
	for i, r := range records {
		if err := b.Append(fmt.Appendf(nil, "key-%d", i), []byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func records(t testing.TB, run []byte) (out []string) {
	t.Helper()
	var it batch.Iterator
	for len(run) > 0 {
		b, err := batch.CheckDelivered(run)
		if err != nil {
			t.Fatal(err)
		}
		if err := it.Reset(b); err != nil {
			t.Fatal(err)
		}
		for it.Next() {
			out = append(out, string(it.Data()))
		}
		run = run[len(b):]
	}
	return out
}

func TestProduceFetch(t *testing.T) {
	for _, level := range []nativeclient.Level{nativeclient.LevelMem, nativeclient.LevelOS, nativeclient.LevelDisk} {
		t.Run(fmt.Sprint(level), func(t *testing.T) {
			r := newRig(t, memOptions(), native.Options{})
			c := r.dial(nativeclient.Options{Name: "test"})
			s := r.open(c, "s", 2, level)
			if err := c.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			var b batch.Builder
			done := newCollector()
			sh := s.Shards()[1]
			const n = 100
			var want []string
			for i := range n {
				rec := fmt.Sprintf("record-%d", i)
				want = append(want, rec)
				if err := s.ProduceBatch(t.Context(), makeBatch(t, &b, sh.ID, s.RouteEpoch(), rec), level, uint64(i), done); err != nil {
					t.Fatal(err)
				}
			}
			last := uint64(0)
			for i, a := range done.wait(n) {
				if a.Err != nil || done.tags[i] != uint64(i) || a.Position < last || a.Micros == 0 {
					t.Fatalf("ack %d: %+v tag %d", i, a, done.tags[i])
				}
				last = a.Position + 1
			}
			from := nativeclient.From{Kind: nativeclient.FromHorizon}
			var got []string
			for len(got) < n {
				d, err := s.Fetch(t.Context(), sh.ID, from, 1, 4096, 5*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				rs := records(t, d.Batches)
				if len(rs) == 0 {
					t.Fatalf("empty fetch after %d records", len(got))
				}
				got = append(got, rs...)
				from = nativeclient.From{Kind: nativeclient.FromPosition, Value: d.Next}
				d.Release()
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("record %d is %q, want %q", i, got[i], want[i])
				}
			}
		})
	}
}

// middle is the decimal hash key that splits a range in two.
func middle(r hashkey.Range) string {
	first := new(big.Int).Add(new(big.Int).Lsh(new(big.Int).SetUint64(r.First.Hi), 64), new(big.Int).SetUint64(r.First.Lo))
	last := new(big.Int).Add(new(big.Int).Lsh(new(big.Int).SetUint64(r.Last.Hi), 64), new(big.Int).SetUint64(r.Last.Lo))
	sum := new(big.Int).Add(first, last)
	return sum.Add(sum.Rsh(sum, 1), big.NewInt(1)).String()
}
