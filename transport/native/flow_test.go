package native_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/native"
	"github.com/shardmill/shardmill/transport/nativeclient"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A ring that is full makes sessions wait; everything is acknowledged in the end, in order.
func TestFullRing(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(1 << 30))
	eo := engine.Options{FS: disk, Dir: "data", RingSize: 1 << 20, SegmentSize: 4 << 20}
	r := newRig(t, eo, native.Options{Loops: 1})
	var stalled atomic.Bool
	release := make(chan struct{})
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpWriteAt && stalled.Load() {
			<-release
		}
		return nil
	})
	a, b := r.dial(nativeclient.Options{}), r.dial(nativeclient.Options{})
	sa, sb := r.open(a, "s", 2, nativeclient.LevelMem), r.open(b, "s", 2, nativeclient.LevelMem)
	stalled.Store(true)
	const n = 60 // of 60 KB each: 3.6 MB a client into 1 MiB of ring, within the credit of 4 MiB
	ca, cb := newCollector(), newCollector()
	var wg sync.WaitGroup
	for i, p := range []struct {
		s *nativeclient.Stream
		c *collector
	}{{sa, ca}, {sb, cb}} {
		wg.Go(func() {
			var bb batch.Builder
			for k := range n {
				rec := fmt.Sprintf("%d-%d-%060000d", i, k, 0)
				bt := makeBatch(t, &bb, p.s.Shards()[i].ID, 0, rec)
				if err := p.s.ProduceBatch(t.Context(), bt, nativeclient.LevelMem, uint64(k), p.c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	eventually(t, "frames held", func() bool { return r.srv.Stats().Held > 10 })
	// A loop that holds frames still serves the session.
	if err := a.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	stalled.Store(false)
	close(release)
	wg.Wait()
	for i, c := range []*collector{ca, cb} {
		last := uint64(0)
		for k, ack := range c.wait(n) {
			if ack.Err != nil || c.tags[k] != uint64(k) || ack.Position <= last && k > 0 {
				t.Fatalf("client %d, ack %d: %+v after %d", i, k, ack, last)
			}
			last = ack.Position
		}
	}
	for i, s := range []*nativeclient.Stream{sa, sb} {
		want := 0
		from := nativeclient.From{Kind: nativeclient.FromHorizon}
		for want < n {
			d, err := s.Fetch(t.Context(), s.Shards()[i].ID, from, 1, 1<<20, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range records(t, d.Batches) {
				if prefix := fmt.Sprintf("%d-%d-", i, want); rec[:len(prefix)] != prefix {
					t.Fatalf("shard %d: %q, want %q", i, rec[:len(prefix)], prefix)
				}
				want++
			}
			from = nativeclient.From{Kind: nativeclient.FromPosition, Value: d.Next}
			d.Release()
		}
	}
}

// A disk that fails ends every wait with STOPPED.
func TestStoppedLog(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(1 << 30))
	r := newRig(t, engine.Options{FS: disk, Dir: "data", RingSize: 1 << 20, SegmentSize: 4 << 20}, native.Options{})
	c := r.dial(nativeclient.Options{})
	s := r.open(c, "s", 1, nativeclient.LevelDisk)
	release := make(chan struct{})
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncData {
			<-release
			return errors.New("the disk is gone")
		}
		return nil
	})
	var bb batch.Builder
	done := newCollector()
	for i := range 5 {
		if err := s.ProduceBatch(t.Context(), makeBatch(t, &bb, s.Shards()[0].ID, 0, "x"), nativeclient.LevelDisk, uint64(i), done); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Millisecond)
	close(release)
	for i, a := range done.wait(5) {
		if !errors.Is(a.Err, nativeclient.ErrStopped) || a.Position != 0 {
			t.Fatalf("ack %d: %+v", i, a)
		}
	}
	if err := s.ProduceBatch(t.Context(), makeBatch(t, &bb, s.Shards()[0].ID, 0, "x"), nativeclient.LevelMem, 9, done); err != nil {
		t.Fatal(err)
	}
	if a := done.wait(6)[5]; !errors.Is(a.Err, nativeclient.ErrStopped) {
		t.Fatalf("append to a stopped log: %+v", a)
	}
}

func TestCreditOverrun(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(1 << 30))
	r := newRig(t, engine.Options{FS: disk, Dir: "data", RingSize: 8 << 20, SegmentSize: 16 << 20}, native.Options{Credit: 2 << 20})
	w := r.wire()
	if wl := w.hello(); wl.Credit != 2<<20 {
		t.Fatalf("credit %d", wl.Credit)
	}
	handle, shard := w.openStream("s", 0)
	release := make(chan struct{})
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncData {
			<-release
		}
		return nil
	})
	defer close(release)
	var bb batch.Builder
	f := produceFrame(1, handle, 0, makeBatch(t, &bb, shard, 0, string(make([]byte, 600<<10))))
	for range 3 {
		w.send(f)
	}
	w.send(frame.AppendPing(nil, 0, 2, nil))
	w.expect(frame.OpPing) // three frames are within the credit
	w.send(f)
	w.expectRefusal(frame.CodeCreditOverrun)
}

func TestLongPoll(t *testing.T) {
	for _, level := range []nativeclient.Level{nativeclient.LevelMem, nativeclient.LevelOS, nativeclient.LevelDisk} {
		t.Run(fmt.Sprint(level), func(t *testing.T) {
			r := newRig(t, memOptions(), native.Options{})
			c, p := r.dial(nativeclient.Options{}), r.dial(nativeclient.Options{})
			s, ps := r.open(c, "s", 2, level), r.open(p, "s", 2, level)
			ids := []uint32{s.Shards()[0].ID, s.Shards()[1].ID}

			begun := time.Now()
			d, err := s.Fetch(t.Context(), ids[0], nativeclient.From{Kind: nativeclient.FromLatest}, 1, 1<<20, 50*time.Millisecond)
			if err != nil || len(d.Batches) != 0 || time.Since(begun) < 50*time.Millisecond {
				t.Fatalf("nothing there: %d bytes, %v after %s", len(d.Batches), err, time.Since(begun))
			}
			d.Release()
			var wg sync.WaitGroup
			for _, minBytes := range []int{1, 300} {
				for range 10 {
					wg.Go(func() {
						d, err := s.Fetch(t.Context(), ids[0], nativeclient.From{Value: d.Next}, minBytes, 1<<20, 20*time.Second)
						if err != nil {
							t.Error(err)
							return
						}
						if len(d.Batches) < minBytes {
							t.Errorf("%d bytes, want %d", len(d.Batches), minBytes)
						}
						d.Release()
					})
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(func() {
				if _, err := s.Fetch(ctx, ids[0], nativeclient.From{Value: d.Next}, 1<<20, 1<<20, 20*time.Second); !errors.Is(err, context.Canceled) {
					t.Errorf("canceled: %v", err)
				}
			})
			time.Sleep(20 * time.Millisecond)
			cancel()
			var bb batch.Builder
			done := newCollector()
			for i := range 4 { // the other shard's do not answer; 128 B a batch
				if err := ps.ProduceBatch(t.Context(), makeBatch(t, &bb, ids[(i+1)%2], 0, "x"), level, 0, done); err != nil {
					t.Fatal(err)
				}
				if i == 2 {
					time.Sleep(5 * time.Millisecond)
				}
			}
			if err := ps.ProduceBatch(t.Context(), makeBatch(t, &bb, ids[0], 0, "x"), level, 0, done); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
		})
	}
}

func TestFetchLimits(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{})
	w := r.wire()
	w.hello()
	handle, shard := w.openStream("s", 2)
	for i := range native.MaxFetches + 1 {
		w.send(frame.AppendFetch(nil, uint32(1000+i), handle, &frame.Fetch{Shard: shard, MinBytes: 1, MaxBytes: 1, WaitMillis: 60000}))
	}
	h, _ := w.expect(frame.OpError)
	if h.Corr != 1000+native.MaxFetches {
		t.Fatalf("ERROR for %d", h.Corr)
	}
	var bb batch.Builder
	w.send(produceFrame(1, handle, 2, makeBatch(t, &bb, shard, 0, "x")))
	for answered := 0; answered < native.MaxFetches; {
		h, body, err := w.recv()
		if err != nil {
			t.Fatal(err)
		}
		if h.Op == frame.OpFetch {
			if d, err := frame.DecodeDeliver(body); err != nil || len(d.Batches) == 0 {
				t.Fatalf("FETCH answered with %d bytes, %v", len(d.Batches), err)
			}
			answered++
		}
	}
}

// A client that does not read is sent no more than the limits say, loses nothing when it reads at last, and does not
// harm others. The old data come from the disk, by way of the workers.
func TestSlowReader(t *testing.T) {
	r := newRig(t, engine.Options{FS: vfs.NewMem(1 << 30), Dir: "data", RingSize: 8 << 20, SegmentSize: 16 << 20}, native.Options{Loops: 1})
	c := r.dial(nativeclient.Options{})
	s := r.open(c, "s", 1, nativeclient.LevelOS)
	id := s.Shards()[0].ID
	const n = 1000 // of 60 KB: 60 MB, more than any socket buffer
	done := newCollector()
	var bb batch.Builder
	for k := range n {
		if err := s.ProduceBatch(t.Context(), makeBatch(t, &bb, id, 0, fmt.Sprintf("%d-%060000d", k, 0)), nativeclient.LevelOS, 0, done); err != nil {
			t.Fatal(err)
		}
	}
	for k, a := range done.wait(n) {
		if a.Err != nil {
			t.Fatalf("ack %d: %v", k, a.Err)
		}
	}
	for _, how := range []string{"subscribe", "fetch"} {
		t.Run(how, func(t *testing.T) {
			w := r.wire()
			w.t = t
			w.hello()
			handle, _ := w.openStream("s", 1)
			if how == "subscribe" {
				w.send(frame.AppendSubscribe(nil, 7, handle, &frame.Subscribe{Kind: frame.FromHorizon, Credit: 1 << 30}, []uint32{id}))
			} else {
				for i := range native.MaxFetches {
					w.send(frame.AppendFetch(nil, uint32(100+i), handle, &frame.Fetch{Shard: id, Kind: frame.FromHorizon, MaxBytes: 1 << 20}))
				}
			}
			eventually(t, "outbound buffer full", func() bool { return r.srv.MaxOutbound() > native.OutboundLimit })
			time.Sleep(50 * time.Millisecond)
			if got := r.srv.MaxOutbound(); got > native.OutboundLimit+4*frame.DefaultMaxFrame {
				t.Fatalf("%d bytes outbound", got)
			}
			if err := c.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			if how == "subscribe" {
				w.expect(frame.OpSubscribe)
				for k := 0; k < n; {
					_, body := w.expect(frame.OpDeliver)
					d, err := frame.DecodeDeliver(body)
					if err != nil {
						t.Fatal(err)
					}
					for _, rec := range records(t, d.Batches) {
						if prefix := fmt.Sprintf("%d-", k); rec[:len(prefix)] != prefix {
							t.Fatalf("record %d is %q", k, rec[:10])
						}
						k++
					}
				}
			} else {
				for range native.MaxFetches {
					_, body := w.expect(frame.OpFetch)
					if d, err := frame.DecodeDeliver(body); err != nil || len(d.Batches) < 900<<10 {
						t.Fatalf("%d bytes, %v", len(d.Batches), err)
					}
				}
			}
			_ = w.Close()
		})
	}
	if r.srv.Stats().Cold == 0 {
		t.Error("nothing was read by the workers")
	}
}

// A client that floods the server with requests and reads none of the answers is cut off.
func TestNeverReader(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{})
	w := r.wire()
	w.hello()
	ping := frame.AppendPing(nil, 0, 1, make([]byte, frame.MaxPing))
	var many []byte
	for range 1000 {
		many = append(many, ping...)
	}
	_ = w.SetWriteDeadline(time.Now().Add(30 * time.Second))
	for {
		if _, err := w.Write(many); err != nil {
			break
		}
	}
	if got := r.srv.Stats().SlowReaders; got != 1 {
		t.Fatalf("%d slow readers", got)
	}
}

// produceNumbers produces the numbers below n under ten keys and waits for them.
func produceNumbers(t *testing.T, p *nativeclient.Producer, n int) {
	t.Helper()
	for i := range n {
		p.Produce(t.Context(), fmt.Appendf(nil, "k%d", i%10), fmt.Append(nil, i))
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSubscribeAcrossSplit(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{})
	s := r.open(r.dial(nativeclient.Options{}), "s", 1, nativeclient.LevelDisk)
	sub, err := s.Subscribe(t.Context(), []uint32{s.Shards()[0].ID}, nativeclient.From{Kind: nativeclient.FromLatest}, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	p := s.NewProducer(nativeclient.ProducerOptions{BatchBytes: 4096})
	defer func() { _ = p.Close() }()
	const n = 2000
	produceNumbers(t, p, n)
	next := func() (nativeclient.Delivery, []string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		d, err := sub.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		recs := records(t, d.Batches)
		d.Release()
		return d, recs
	}
	for got := 0; got < n; {
		_, recs := next()
		for _, rec := range recs {
			if rec != fmt.Sprint(got) {
				t.Fatalf("record %d is %s", got, rec)
			}
			got++
		}
	}
	st, err := r.eng.Stream(engine.Name{Stream: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if err := splitSome(t, st); err != nil {
		t.Fatal(err)
	}
	// Nothing is appended: the end of the parent shows all the same.
	if d, recs := next(); !d.End || len(recs) != 0 {
		t.Fatalf("end of the parent: %+v with %d records", d, len(recs))
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	var children []uint32
	for _, sh := range s.Shards() {
		if sh.Open {
			children = append(children, sh.ID)
		}
	}
	if sub, err = s.Subscribe(t.Context(), children, nativeclient.From{Kind: nativeclient.FromHorizon}, 0); err != nil || len(children) != 2 {
		t.Fatalf("%d children: %v", len(children), err)
	}
	produceNumbers(t, p, n)
	from := map[uint32]int{}
	for got := 0; got < n; {
		d, recs := next()
		got += len(recs)
		from[d.Shard] += len(recs)
	}
	if len(from) != 2 {
		t.Errorf("records by shard: %v", from)
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sub.Next(t.Context()); !errors.Is(err, nativeclient.ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
}

// Subscriptions stop at their credit and go on when it is returned.
func TestSubscriptionCredit(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{})
	w := r.wire()
	w.hello()
	handle, shard := w.openStream("s", 2)
	var bb batch.Builder
	const n = 20
	for i := range n {
		w.send(produceFrame(uint32(i), handle, 2, makeBatch(t, &bb, shard, 0, fmt.Sprint(i))))
		w.expect(frame.OpAck)
	}
	w.send(frame.AppendSubscribe(nil, 50, handle, &frame.Subscribe{Kind: frame.FromHorizon, Credit: 300}, []uint32{shard}))
	w.expect(frame.OpSubscribe)
	read := 0
	for read < n {
		// 300 bytes are at most three batches of 128: the last may exceed what is left.
		for credit := 300; credit > 0; {
			_, body := w.expect(frame.OpDeliver)
			d, err := frame.DecodeDeliver(body)
			if err != nil {
				t.Fatal(err)
			}
			credit -= len(d.Batches)
			for _, rec := range records(t, d.Batches) {
				if rec != fmt.Sprint(read) {
					t.Fatalf("record %d is %s", read, rec)
				}
				read++
			}
			if read == n {
				break
			}
		}
		w.send(frame.AppendPing(nil, 0, 60, nil))
		w.expect(frame.OpPing) // and not DELIVER
		w.send(frame.AppendCredit(nil, 50, 384))
	}
	w.send(frame.AppendUnsubscribe(nil, 70, 50))
	w.expect(frame.OpUnsubscribe)
	w.send(produceFrame(99, handle, 2, makeBatch(t, &bb, shard, 0, "unseen")))
	w.expect(frame.OpAck)
	w.send(frame.AppendPing(nil, 0, 71, nil))
	w.expect(frame.OpPing)
}

func TestShutdown(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{})
	c := r.dial(nativeclient.Options{})
	s := r.open(c, "s", 1, nativeclient.LevelDisk)
	w := r.wire()
	w.hello()
	fetched := make(chan error, 1)
	go func() {
		_, err := s.Fetch(context.Background(), s.Shards()[0].ID, nativeclient.From{Value: 1 << 40}, 1, 1, time.Minute)
		fetched <- err
	}()
	done := newCollector()
	var bb batch.Builder
	for range 10 {
		if err := s.ProduceBatch(t.Context(), makeBatch(t, &bb, s.Shards()[0].ID, 0, "x"), nativeclient.LevelDisk, 0, done); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Ping(t.Context()); err != nil { // all ten have arrived
		t.Fatal(err)
	}
	if err := r.srv.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.srv.Close(); !errors.Is(err, native.ErrClosed) {
		t.Fatalf("second Close: %v", err)
	}
	for i, a := range done.wait(10) {
		if a.Err != nil {
			t.Fatalf("ack %d, under way when the server was closed: %v", i, a.Err)
		}
	}
	h, body := w.expect(frame.OpGoAway)
	if code, err := frame.DecodeGoAway(body); err != nil || code != frame.CodeClosing || h.Flags&frame.FlagDrain == 0 {
		t.Fatalf("GOAWAY %v %v %v", code, h.Flags, err)
	}
	if err := <-fetched; err == nil {
		t.Fatal("FETCH survived the server")
	}
	<-c.Done()
	if err := s.ProduceBatch(t.Context(), makeBatch(t, &bb, s.Shards()[0].ID, 0, "x"), nativeclient.LevelDisk, 0, done); err == nil || c.Err() == nil {
		t.Fatalf("after the end: %v, %v", err, c.Err())
	}
	_ = c.Close()
}
