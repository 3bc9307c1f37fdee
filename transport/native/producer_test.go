package native_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/native"
	"github.com/shardmill/shardmill/transport/nativeclient"
)

// drain reads all shards of a stream from the horizon, parents before children, and returns the records by key.
func drain(t *testing.T, s *nativeclient.Stream) map[string][]string {
	t.Helper()
	got := map[string][]string{}
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	var it batch.Iterator
	for _, sh := range s.Shards() { // by index: children have larger ones
		from := nativeclient.From{Kind: nativeclient.FromHorizon}
		for {
			d, err := s.Fetch(t.Context(), sh.ID, from, 0, 1<<20, 0)
			if err != nil {
				t.Fatal(err)
			}
			for run := d.Batches; len(run) > 0; {
				b, err := batch.CheckDelivered(run)
				if err != nil {
					t.Fatal(err)
				}
				if err := it.Reset(b); err != nil {
					t.Fatal(err)
				}
				for it.Next() {
					got[string(it.Key())] = append(got[string(it.Key())], string(it.Data()))
				}
				run = run[len(b):]
			}
			empty := len(d.Batches) == 0
			from = nativeclient.From{Kind: nativeclient.FromPosition, Value: d.Next}
			end := d.End
			d.Release()
			if end || empty {
				break
			}
		}
	}
	return got
}

func TestProducerOrderAcrossSplits(t *testing.T) {
	for _, codec := range []batch.Codec{batch.CodecRaw, batch.CodecZstd} {
		t.Run(fmt.Sprint(codec), func(t *testing.T) {
			r := newRig(t, memOptions(), native.Options{})
			c := r.dial(nativeclient.Options{})
			s := r.open(c, "s", 2, nativeclient.LevelOS)
			p := s.NewProducer(nativeclient.ProducerOptions{Level: nativeclient.LevelOS, Codec: codec, BatchBytes: 2048})
			const goroutines, each = 4, 3000
			var wg sync.WaitGroup
			var rerouted atomic.Int64
			for g := range goroutines {
				wg.Go(func() {
					var last *nativeclient.Future
					for i := range each {
						f := p.Produce(t.Context(), fmt.Appendf(nil, "g%d-k%d", g, i%17), fmt.Appendf(nil, "%d", i))
						if i%500 == 499 {
							if _, err := f.Wait(t.Context()); err != nil {
								t.Errorf("record %d: %v", i, err)
							}
						}
						last = f
					}
					if _, err := last.Wait(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			st, err := r.eng.Stream(engine.Name{Stream: "s"})
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				time.Sleep(5 * time.Millisecond)
				if err := splitSome(t, st); err != nil {
					t.Fatal(err)
				}
				rerouted.Add(1)
			}
			wg.Wait()
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			got := drain(t, s)
			total := 0
			for key, recs := range got {
				last := -1
				for _, rec := range recs {
					var n int
					if _, err := fmt.Sscan(rec, &n); err != nil {
						t.Fatal(err)
					}
					if n <= last {
						t.Fatalf("key %s: record %d after %d", key, n, last)
					}
					last = n
					total++
				}
			}
			if total != goroutines*each {
				t.Fatalf("%d records, want %d", total, goroutines*each)
			}
		})
	}
}

// splitSome splits one open shard in the middle.
func splitSome(t *testing.T, st *engine.Stream) error {
	t.Helper()
	info := st.Info()
	var open []engine.ShardInfo
	for i := range info.Shards {
		if info.Shards[i].Open() {
			open = append(open, info.Shards[i])
		}
	}
	sh := open[rand.IntN(len(open))]
	return st.Split(context.Background(), engine.ShardID(sh.Index), middle(sh.Range))
}

func TestProducerLimits(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{})
	c := r.dial(nativeclient.Options{})
	s := r.open(c, "s", 1, nativeclient.LevelMem)
	p := s.NewProducer(nativeclient.ProducerOptions{Level: nativeclient.LevelMem, Linger: time.Hour, MaxBuffered: 10_000})
	// With an hour's linger nothing is sent: the second record does not fit.
	p.Produce(t.Context(), []byte("k"), make([]byte, 6000))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Produce(ctx, []byte("k"), make([]byte, 6000)).Wait(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("record beyond MaxBuffered: %v", err)
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Produce(t.Context(), []byte("k"), make([]byte, 2<<20)).Wait(t.Context()); !errors.Is(err, nativeclient.ErrTooLarge) {
		t.Fatalf("record beyond a frame: %v", err)
	}
	f := p.Produce(t.Context(), []byte("k"), []byte("v"))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err := f.Wait(t.Context()); err != nil || a.Micros == 0 {
		t.Fatalf("flushed by Close: %+v %v", a, err)
	}
	if _, err := p.Produce(t.Context(), []byte("k"), []byte("v")).Wait(t.Context()); !errors.Is(err, nativeclient.ErrClosed) {
		t.Fatalf("after Close: %v", err)
	}
}

func TestProducerLinger(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{})
	c := r.dial(nativeclient.Options{})
	s := r.open(c, "s", 1, nativeclient.LevelMem)
	p := s.NewProducer(nativeclient.ProducerOptions{Level: nativeclient.LevelMem, Linger: 30 * time.Millisecond})
	defer func() { _ = p.Close() }()
	var fs []*nativeclient.Future
	for i := range 10 {
		fs = append(fs, p.Produce(t.Context(), []byte("k"), fmt.Append(nil, i)))
	}
	first, err := fs[0].Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range fs {
		a, err := f.Wait(t.Context())
		if err != nil || a.Position != first.Position+uint64(i) {
			t.Fatalf("record %d at %d, %v: not in one batch from %d", i, a.Position, err, first.Position)
		}
	}
}

func TestCompressedDelivery(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{})
	c := r.dial(nativeclient.Options{})
	s := r.open(c, "s", 1, nativeclient.LevelMem)
	p := s.NewProducer(nativeclient.ProducerOptions{Level: nativeclient.LevelMem, Codec: batch.CodecZstd, Linger: time.Second})
	line := strings.Repeat("127.0.0.1 - - GET /index.html ", 20)
	for range 100 {
		p.Produce(t.Context(), []byte("k"), []byte(line))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := s.Fetch(t.Context(), s.Shards()[0].ID, nativeclient.From{Kind: nativeclient.FromHorizon}, 1, 1<<20, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	if n := len(d.Batches); n == 0 || n > 100*len(line)/4 {
		t.Fatalf("%d bytes stored for %d", n, 100*len(line))
	}
	if got := records(t, d.Batches); len(got) != 100 || got[99] != line {
		t.Fatalf("%d records", len(got))
	}
}
