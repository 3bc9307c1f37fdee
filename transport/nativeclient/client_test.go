package nativeclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/codec/hashkey"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a server whose one connection says what a test wants it to. The real server is tested with this client in
// package native; here it misbehaves.
type script struct {
	t    *testing.T
	addr string
	conn net.Conn
}

// serve accepts one connection, answers HELLO and OPEN, and runs fn.
func serve(t *testing.T, w frame.Welcome, fn func(s *script)) *script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, addr: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		s.conn = conn
		if h, _ := s.recv(); h.Op != frame.OpHello {
			t.Errorf("first frame is %s", h.Op)
		}
		s.send(frame.AppendWelcome(nil, 1, &w))
		fn(s)
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return s
}

func welcome() frame.Welcome {
	return frame.Welcome{Version: 1, MaxFrame: frame.DefaultMaxFrame, Credit: 4 << 20}
}

func (s *script) send(b []byte) {
	if _, err := s.conn.Write(b); err != nil {
		s.t.Logf("script: %v", err)
	}
}

func (s *script) recv() (frame.Header, []byte) {
	var head [frame.HeaderLen]byte
	if _, err := io.ReadFull(s.conn, head[:]); err != nil {
		return frame.Header{}, nil
	}
	h := frame.ParseHeader(head[:])
	body := make([]byte, h.Size()-frame.HeaderLen)
	_, _ = io.ReadFull(s.conn, body)
	return h, body
}

// open answers an OPEN with one shard.
func (s *script) open() {
	h, _ := s.recv()
	s.send(frame.AppendOpened(nil, 0, h.Corr, 1, &frame.Opened{Routing: hashkey.XXH64, Total: 1}, 1, func(int) frame.Shard {
		return frame.Shard{ID: 5, Open: true, Range: hashkey.Range{Last: hashkey.Max()}, Parent: -1, AdjacentParent: -1}
	}))
}

func (s *script) dial() *Client {
	s.t.Helper()
	c, err := Dial(s.t.Context(), Options{Addr: s.addr})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *script) stream(c *Client) *Stream {
	s.t.Helper()
	st, err := c.Open(s.t.Context(), "s", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

type acks chan Ack

func (a acks) Done(_ uint64, k Ack) { a <- k }

func testBatch(t *testing.T, n int) batch.Batch {
	t.Helper()
	var b batch.Builder
	b.Reset(5, batch.BuildOptions{})
	if err := b.Append([]byte("k"), make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	out, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Whatever a server says that makes no sense ends the connection with ErrProtocol, and everything pending with it.
func TestServerMisbehaves(t *testing.T) {
	f := func(name string, answer func(produce frame.Header) []byte) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := serve(t, welcome(), func(s *script) {
				s.open()
				h, _ := s.recv()
				s.send(answer(h))
				s.recv() // the connection's end
			})
			c := s.dial()
			st := s.stream(c)
			done := make(acks, 1)
			if err := st.ProduceBatch(t.Context(), testBatch(t, 10), LevelMem, 0, done); err != nil {
				t.Fatal(err)
			}
			if a := <-done; !errors.Is(a.Err, ErrProtocol) {
				t.Errorf("pending batch: %v", a.Err)
			}
			<-c.Done()
			if !errors.Is(c.Err(), ErrProtocol) {
				t.Errorf("Err: %v", c.Err())
			}
			if err := c.Ping(t.Context()); !errors.Is(err, ErrProtocol) {
				t.Errorf("Ping: %v", err)
			}
			if err := st.ProduceBatch(t.Context(), testBatch(t, 10), LevelMem, 0, done); !errors.Is(err, ErrProtocol) {
				t.Errorf("ProduceBatch: %v", err)
			}
		})
	}
	f("zeros", func(frame.Header) []byte { return make([]byte, 64) })
	f("oversized", func(frame.Header) []byte { return frame.AppendHeader(nil, frame.OpFetch, 1, 0, 0, 1<<30) })
	f("request", func(frame.Header) []byte { return frame.AppendHeader(nil, frame.OpProduce, 0, 0, 0, 0) })
	f("ACK of nothing", func(frame.Header) []byte {
		return frame.AppendAckResult(frame.AppendAckPrefix(nil, 99, 1, 0, 1), frame.AckResult{})
	})
	f("ACK cut", func(h frame.Header) []byte {
		return append(frame.AppendHeader(nil, frame.OpAck, 1, h.Corr, 1, 3), 0, 0, 0)
	})
	f("ACK of two", func(h frame.Header) []byte {
		b := frame.AppendAckPrefix(nil, h.Corr, 1, 0, 2)
		return frame.AppendAckResult(frame.AppendAckResult(b, frame.AckResult{}), frame.AckResult{})
	})
	f("ERROR cut", func(h frame.Header) []byte { return append(frame.AppendHeader(nil, frame.OpError, 3, h.Corr, 1, 1), 0) })
	f("DELIVER empty", func(frame.Header) []byte { return frame.AppendHeader(nil, frame.OpDeliver, 0, 1, 1, 0) })
	f("DELIVER cut", func(frame.Header) []byte { return append(frame.AppendHeader(nil, frame.OpDeliver, 0, 1, 1, 2), 0, 0) })
}

func TestConnectionEnds(t *testing.T) {
	f := func(name string, last []byte, want error) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := serve(t, welcome(), func(s *script) {
				s.open()
				s.recv()
				s.send(last)
			})
			c := s.dial()
			st := s.stream(c)
			done := make(acks, 1)
			if err := st.ProduceBatch(t.Context(), testBatch(t, 10), LevelMem, 0, done); err != nil {
				t.Fatal(err)
			}
			if a := <-done; !errors.Is(a.Err, want) {
				t.Errorf("pending batch: %v, want %v", a.Err, want)
			}
		})
	}
	f("silently", nil, io.EOF)
	f("within a frame", []byte{1, 2, 3}, io.ErrUnexpectedEOF)
	f("with a reason", frame.AppendError(nil, 0, 0, frame.CodeUnauthenticated, "no"), ErrAuth)

	s := serve(t, welcome(), func(s *script) {
		s.open()
		for h, _ := s.recv(); h.Op != 0; h, _ = s.recv() { // until the connection's end
		}
	})
	c := s.dial()
	st := s.stream(c)
	done := make(acks, 1)
	if err := st.ProduceBatch(t.Context(), testBatch(t, 10), LevelMem, 0, done); err != nil {
		t.Fatal(err)
	}
	fetched := make(chan error, 1)
	go func() {
		_, err := st.Fetch(context.Background(), 5, From{}, 1, 1, time.Minute)
		fetched <- err
	}()
	_ = c.Close()
	_ = c.Close()
	if a := <-done; !errors.Is(a.Err, ErrClosed) {
		t.Errorf("pending batch after Close: %v", a.Err)
	}
	if err := <-fetched; !errors.Is(err, ErrClosed) {
		t.Errorf("pending Fetch after Close: %v", err)
	}
}

func TestDialErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	// Nobody answers HELLO.
	if _, err := Dial(ctx, Options{Addr: addr}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent server: %v", err)
	}
	_ = ln.Close()
	if _, err := Dial(t.Context(), Options{Addr: addr}); err == nil {
		t.Error("nobody listens, and Dial succeeds")
	}
	for _, o := range []Options{{}, {Addr: addr, MaxFrame: 10}, {Addr: addr, InFlight: -1}, {Addr: addr, Name: string(make([]byte, 1000))}} {
		if o.Validate() == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	w := welcome()
	w.Version = 7
	s := serve(t, w, func(*script) {})
	if _, err := Dial(t.Context(), Options{Addr: s.addr}); !errors.Is(err, ErrProtocol) {
		t.Errorf("version 7: %v", err)
	}
}

// No more PRODUCE bytes are in flight than granted; the rest waits, or gives up with its context.
func TestInFlight(t *testing.T) {
	w := welcome()
	w.Credit = 10_000
	const n = 50
	release := make(chan struct{})
	var most int
	s := serve(t, w, func(s *script) {
		s.open()
		type waiting struct {
			corr uint32
			size int
		}
		var queue []waiting
		inFlight := 0
		for seen := 0; seen < n; seen++ {
			h, _ := s.recv()
			inFlight += h.Size()
			most = max(most, inFlight)
			queue = append(queue, waiting{h.Corr, h.Size()})
			if seen == 2 {
				<-release // the fourth does not fit beside three of 3,128 bytes
			}
			if len(queue) == 3 || seen == n-1 {
				for _, q := range queue {
					inFlight -= q.size
					s.send(frame.AppendAckResult(frame.AppendAckPrefix(nil, q.corr, 1, uint32(q.size), 1), frame.AckResult{Position: 1}))
				}
				queue = nil
			}
		}
		s.recv()
	})
	c := s.dial()
	st := s.stream(c)
	b := testBatch(t, 3000)
	done := make(acks, n)
	for range 3 {
		if err := st.ProduceBatch(t.Context(), b, LevelMem, 0, done); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := st.ProduceBatch(ctx, b, LevelMem, 0, done); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("beyond the credit: %v", err)
	}
	close(release)
	var wg sync.WaitGroup
	for range n - 3 {
		wg.Go(func() {
			if err := st.ProduceBatch(t.Context(), b, LevelMem, 0, done); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for range n {
		if a := <-done; a.Err != nil {
			t.Error(a.Err)
		}
	}
	if most > 10_000 || most < 9000 {
		t.Errorf("%d bytes in flight at most, 10000 granted", most)
	}
	if err := st.ProduceBatch(t.Context(), make(batch.Batch, 2<<20), LevelMem, 0, done); !errors.Is(err, ErrTooLarge) {
		t.Errorf("2 MiB: %v", err)
	}
}

// A server that pushes beyond its credit is cut off; one that keeps to it gets the credit back as deliveries are released.
func TestSubscriptionCredit(t *testing.T) {
	b := testBatch(t, 3000)
	deliver := func(corr uint32) []byte {
		return frame.EndDeliver(append(frame.AppendDeliverPrefix(nil, frame.OpDeliver, corr, 1, 5), b...), 0, 0, false)
	}
	returned := make(chan uint32, 10)
	s := serve(t, welcome(), func(s *script) {
		s.open()
		h, _ := s.recv()
		s.send(frame.AppendEmpty(nil, frame.OpSubscribe, frame.FlagResponse, h.Corr, 1))
		for range 3 {
			s.send(deliver(h.Corr))
		}
		_, body := s.recv()
		_, n, err := frame.DecodeCredit(body)
		if err != nil {
			s.t.Error(err)
		}
		returned <- n
		for range 10 {
			s.send(deliver(h.Corr))
		}
		s.recv()
	})
	c := s.dial()
	st := s.stream(c)
	sub, err := st.Subscribe(t.Context(), []uint32{5}, From{Kind: FromHorizon}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	d, err := sub.Next(t.Context())
	if err != nil || len(d.Batches) != len(b) {
		t.Fatalf("%d bytes, %v", len(d.Batches), err)
	}
	d.Release()
	d.Release() // counts once
	if n := <-returned; n != uint32(len(b)) {
		t.Errorf("%d bytes of credit returned, want %d", n, len(b))
	}
	<-c.Done()
	if !errors.Is(c.Err(), ErrProtocol) {
		t.Errorf("beyond its credit: %v", c.Err())
	}
	for {
		d, err := sub.Next(t.Context())
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("Next: %v", err)
			}
			break
		}
		d.Release()
	}
}

func TestGoAway(t *testing.T) {
	s := serve(t, welcome(), func(s *script) {
		s.open()
		h, _ := s.recv()
		s.send(frame.AppendGoAway(nil, frame.FlagDrain, frame.CodeClosing))
		s.send(frame.AppendAckResult(frame.AppendAckPrefix(nil, h.Corr, 1, 0, 1), frame.AckResult{Position: 7}))
		s.recv()
	})
	c := s.dial()
	st := s.stream(c)
	done := make(acks, 1)
	if err := st.ProduceBatch(t.Context(), testBatch(t, 10), LevelMem, 0, done); err != nil {
		t.Fatal(err)
	}
	if a := <-done; a.Err != nil || a.Position != 7 {
		t.Errorf("under way when the server says GOAWAY: %+v", a)
	}
	if err := st.ProduceBatch(t.Context(), testBatch(t, 10), LevelMem, 0, done); !errors.Is(err, ErrGoAway) {
		t.Errorf("after GOAWAY: %v", err)
	}
}

func TestShardFor(t *testing.T) {
	quarter := func(i uint64) hashkey.Range {
		return hashkey.Range{First: hashkey.Key{Hi: i << 62}, Last: hashkey.Key{Hi: i<<62 | (1<<62 - 1), Lo: ^uint64(0)}}
	}
	r := &routes{routing: hashkey.XXH64}
	for i := range uint64(4) {
		r.open = append(r.open, Shard{ID: uint32(i), Open: true, Range: quarter(i)})
	}
	seen := map[uint32]int{}
	for i := range 1000 {
		key := fmt.Append(nil, i)
		sh := r.find(key)
		if sh == nil || !sh.Range.Contains(hashkey.XXH64.Of(key)) {
			t.Fatalf("key %s: %+v", key, sh)
		}
		seen[sh.ID]++
	}
	if len(seen) != 4 {
		t.Errorf("keys by shard: %v", seen)
	}
	r.open = r.open[1:3] // a gap at each end
	missed := 0
	for i := range 1000 {
		key := fmt.Append(nil, i)
		if sh := r.find(key); sh == nil {
			missed++
		} else if !sh.Range.Contains(hashkey.XXH64.Of(key)) {
			t.Fatalf("key %s is not in %+v", key, sh)
		}
	}
	if missed != seen[0]+seen[3] {
		t.Errorf("%d keys without a shard, want %d", missed, seen[0]+seen[3])
	}
	r.open = nil
	if r.find([]byte("k")) != nil {
		t.Error("no shards, and one is found")
	}
	s := &Stream{}
	s.routes.Store(r)
	if n := testing.AllocsPerRun(100, func() { _ = s.ShardFor([]byte("key")) }); n != 0 {
		t.Errorf("ShardFor: %v allocations", n)
	}
}
