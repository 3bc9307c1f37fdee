package native_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/native"
	"github.com/shardmill/shardmill/transport/nativeclient"
)

// The probes below are what the protocol's numbers are ratios to: they move the same bytes over the same loopback with
// nothing else done.

const probeBlock = 64 << 10

// cpu reports the processor time of the whole process per operation, client and server together. On a machine that is
// shared it compares better than elapsed time.
func cpu(b *testing.B) (stop func()) {
	used := func() int64 {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	begun := used()
	return func() { b.ReportMetric(float64(used()-begun)/float64(b.N), "cpu-ns/op") }
}

// gnetProbe serves f on gnet the way the server does: own listener, enrolled connections.
func gnetProbe(b *testing.B, h gnet.EventHandler, readBuffer int) net.Conn {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	cl, err := gnet.NewClient(h, gnet.WithNumEventLoop(1), gnet.WithReadBufferCap(readBuffer), gnet.WithLogger(silent{}))
	if err != nil {
		b.Fatal(err)
	}
	if err := cl.Start(); err != nil {
		b.Fatal(err)
	}
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	in, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := cl.Enroll(in); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = conn.Close()
		_ = ln.Close()
		_ = cl.Stop()
	})
	return conn
}

type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

type sink struct {
	gnet.BuiltinEventEngine
	n int
}

func (s *sink) OnTraffic(c gnet.Conn) gnet.Action {
	p, _ := c.Next(-1)
	var reply [16]byte
	for s.n += len(p); s.n >= probeBlock; s.n -= probeBlock {
		if _, err := c.Write(reply[:]); err != nil {
			return gnet.Close
		}
	}
	return gnet.None
}

type echo struct{ gnet.BuiltinEventEngine }

func (*echo) OnTraffic(c gnet.Conn) gnet.Action {
	p, _ := c.Next(-1)
	if _, err := c.Write(p); err != nil {
		return gnet.Close
	}
	return gnet.None
}

// BenchmarkProbeSink: gnet reads, discards and replies 16 B per 64 KiB; at most 4 MiB in flight.
func BenchmarkProbeSink(b *testing.B) {
	conn := gnetProbe(b, &sink{}, 256<<10)
	block := make([]byte, probeBlock)
	window := make(chan struct{}, 64)
	done := make(chan error, 1)
	go func() {
		var reply [1 << 10]byte
		for got := 0; got < b.N*16; {
			n, err := conn.Read(reply[:])
			if err != nil {
				done <- err
				return
			}
			for range (got+n)/16 - got/16 {
				<-window
			}
			got += n
		}
		done <- nil
	}()
	b.SetBytes(probeBlock)
	b.ResetTimer()
	defer cpu(b)()
	for range b.N {
		window <- struct{}{}
		if _, err := conn.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkProbeLoopback: one goroutine writes, one reads, 64 KiB at a time.
func BenchmarkProbeLoopback(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		block := make([]byte, probeBlock)
		for range b.N {
			if _, err := c.Write(block); err != nil {
				break
			}
		}
		_ = c.Close()
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	b.SetBytes(probeBlock)
	b.ResetTimer()
	defer cpu(b)()
	buf := make([]byte, probeBlock)
	for n := 0; n < b.N*probeBlock; {
		m, err := c.Read(buf)
		n += m
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkProbeEcho: 256 B to gnet and back, one in flight.
func BenchmarkProbeEcho(b *testing.B) {
	conn := gnetProbe(b, &echo{}, 256<<10)
	buf := make([]byte, 256)
	b.ResetTimer()
	defer cpu(b)()
	for range b.N {
		if _, err := conn.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProbeMemcpy(b *testing.B) {
	src, dst := make([]byte, probeBlock), make([]byte, 64<<20)
	b.SetBytes(probeBlock)
	at := 0
	defer cpu(b)()
	for b.Loop() {
		copy(dst[at:], src)
		at = (at + probeBlock) & (len(dst) - 1)
	}
}

func BenchmarkProbeHash(b *testing.B) {
	src := make([]byte, probeBlock)
	b.SetBytes(probeBlock)
	defer cpu(b)()
	for b.Loop() {
		xxhash.Sum64(src)
	}
}

func BenchmarkProbeWrite(b *testing.B) {
	fs := vfs.OS()
	f, err := fs.Create(b.TempDir() + "/probe")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	src := make([]byte, 1<<20)
	b.SetBytes(int64(len(src)))
	at := int64(0)
	defer cpu(b)()
	for b.Loop() {
		if _, err := f.WriteAt(src, at); err != nil {
			b.Fatal(err)
		}
		at = (at + int64(len(src))) & (1<<30 - 1)
	}
}

// count is a Completion that counts.
type count struct {
	n    atomic.Int64
	fail atomic.Pointer[error]
	want int64
	done chan struct{}
}

func (c *count) Done(_ uint64, a nativeclient.Ack) {
	if a.Err != nil {
		err := a.Err // only then does anything escape
		c.fail.Store(&err)
	}
	if c.n.Add(1) == c.want {
		close(c.done)
	}
}

func benchRig(b *testing.B, memory bool, so native.Options) *rig {
	o := engine.Options{RingSize: 64 << 20}
	if !memory {
		o.FS, o.Dir = vfs.OS(), b.TempDir()
	}
	return newRig(b, o, so)
}

func fullBatch(b *testing.B, bb *batch.Builder, shard uint32, epoch uint16, recordLen, batchLen int) batch.Batch {
	bb.Reset(shard, batch.BuildOptions{RouteEpoch: epoch, MaxLen: batchLen})
	rec := make([]byte, recordLen)
	for i := 0; ; i++ {
		copy(rec, fmt.Sprint(i))
		if bb.Append([]byte("key"), rec) != nil {
			break
		}
	}
	out, err := bb.Finish()
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// BenchmarkProduce: 64 KiB batches, 4 MiB in flight, one connection.
func BenchmarkProduce(b *testing.B) {
	for _, m := range []struct {
		name   string
		memory bool
		level  nativeclient.Level
		record int
	}{
		{"memory-only/1KiB", true, nativeclient.LevelMem, 1024},
		{"file-mem/1KiB", false, nativeclient.LevelMem, 1024},
		{"file-os/1KiB", false, nativeclient.LevelOS, 1024},
		{"file-os/100B", false, nativeclient.LevelOS, 100},
		{"file-disk/1KiB", false, nativeclient.LevelDisk, 1024},
	} {
		b.Run(m.name, func(b *testing.B) {
			r := benchRig(b, m.memory, native.Options{})
			c := r.dial(nativeclient.Options{})
			s := r.open(c, "s", 1, m.level)
			var bb batch.Builder
			bt := fullBatch(b, &bb, s.Shards()[0].ID, s.RouteEpoch(), m.record, probeBlock)
			done := &count{want: int64(b.N), done: make(chan struct{})}
			b.SetBytes(int64(len(bt)))
			b.ReportAllocs()
			b.ResetTimer()
			defer cpu(b)()
			for range b.N {
				if err := s.ProduceBatch(context.Background(), bt, m.level, 0, done); err != nil {
					b.Fatal(err)
				}
			}
			<-done.done
			b.StopTimer()
			if err := done.fail.Load(); err != nil {
				b.Fatal(*err)
			}
			st := r.srv.Stats()
			b.ReportMetric(float64(st.Wakes)/float64(b.N), "wakes/op")
			b.ReportMetric(float64(st.Held)/float64(b.N), "held/op")
			b.ReportMetric(float64(b.N)*float64(bt.Records())/b.Elapsed().Seconds()/1e6, "Mrec/s")
		})
	}
}

type signalDone struct{ ch chan nativeclient.Ack }

func (s *signalDone) Done(_ uint64, a nativeclient.Ack) { s.ch <- a }

// BenchmarkProduceOne: one batch of one 256 B record at a time.
func BenchmarkProduceOne(b *testing.B) {
	for _, m := range []struct {
		name   string
		memory bool
		level  nativeclient.Level
	}{{"memory-only", true, nativeclient.LevelMem}, {"file-mem", false, nativeclient.LevelMem}, {"file-os", false, nativeclient.LevelOS}} {
		b.Run(m.name, func(b *testing.B) {
			r := benchRig(b, m.memory, native.Options{})
			c := r.dial(nativeclient.Options{})
			s := r.open(c, "s", 1, m.level)
			var bb batch.Builder
			bt := makeBatch(b, &bb, s.Shards()[0].ID, s.RouteEpoch(), string(make([]byte, 256)))
			done := &signalDone{ch: make(chan nativeclient.Ack, 1)}
			b.ReportAllocs()
			b.ResetTimer()
			defer cpu(b)()
			for range b.N {
				if err := s.ProduceBatch(context.Background(), bt, m.level, 0, done); err != nil {
					b.Fatal(err)
				}
				if a := <-done.ch; a.Err != nil {
					b.Fatal(a.Err)
				}
			}
		})
	}
}

// BenchmarkProducePipelined: batches of one 256 B record, 64 in flight.
func BenchmarkProducePipelined(b *testing.B) {
	r := benchRig(b, true, native.Options{})
	c := r.dial(nativeclient.Options{InFlight: 1 << 20})
	s := r.open(c, "s", 1, nativeclient.LevelMem)
	var bb batch.Builder
	bt := makeBatch(b, &bb, s.Shards()[0].ID, s.RouteEpoch(), string(make([]byte, 256)))
	done := &signalDone{ch: make(chan nativeclient.Ack, 64)}
	b.ReportAllocs()
	b.ResetTimer()
	defer cpu(b)()
	for i := range b.N {
		if i >= 64 {
			<-done.ch
		}
		if err := s.ProduceBatch(context.Background(), bt, nativeclient.LevelMem, 0, done); err != nil {
			b.Fatal(err)
		}
	}
	for range min(64, b.N) {
		<-done.ch
	}
}

func fillShard(b *testing.B, s *nativeclient.Stream, n int) int {
	var bb batch.Builder
	bt := fullBatch(b, &bb, s.Shards()[0].ID, s.RouteEpoch(), 1024, probeBlock)
	done := &count{want: int64(n), done: make(chan struct{})}
	for range n {
		if err := s.ProduceBatch(context.Background(), bt, nativeclient.LevelMem, 0, done); err != nil {
			b.Fatal(err)
		}
	}
	<-done.done
	return len(bt)
}

// BenchmarkFetch: hot 64 KiB batches, 1 MiB a response, depth requests in flight.
func BenchmarkFetch(b *testing.B) {
	for _, depth := range []int{1, 2} {
		b.Run(fmt.Sprint("depth-", depth), func(b *testing.B) {
			r := benchRig(b, true, native.Options{})
			c := r.dial(nativeclient.Options{})
			s := r.open(c, "s", 1, nativeclient.LevelMem)
			fillShard(b, s, 16) // 1 MiB, fetched over and over
			id := s.Shards()[0].ID
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			b.ResetTimer()
			defer cpu(b)()
			errs := make(chan error, depth)
			var next atomic.Int64
			for range depth {
				go func() {
					for next.Add(1) <= int64(b.N) {
						d, err := s.Fetch(context.Background(), id, nativeclient.From{Kind: nativeclient.FromHorizon}, 1, 1<<20, time.Second)
						if err != nil {
							errs <- err
							return
						}
						if len(d.Batches) < 900<<10 {
							errs <- fmt.Errorf("%d bytes", len(d.Batches))
							return
						}
						d.Release()
					}
					errs <- nil
				}()
			}
			for range depth {
				if err := <-errs; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSubscribe: hot batches pushed, 4 MiB of credit. One operation is 64 KiB.
func BenchmarkSubscribe(b *testing.B) {
	r := benchRig(b, true, native.Options{})
	c := r.dial(nativeclient.Options{})
	s := r.open(c, "s", 1, nativeclient.LevelMem)
	const fill = 320 // 20 MiB, below half of the ring
	size := fillShard(b, s, fill)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	defer cpu(b)()
	for got := 0; got < b.N*size; {
		sub, err := s.Subscribe(context.Background(), []uint32{s.Shards()[0].ID}, nativeclient.From{Kind: nativeclient.FromHorizon}, 4<<20)
		if err != nil {
			b.Fatal(err)
		}
		for n := 0; n < fill*size && got+n < b.N*size; {
			d, err := sub.Next(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			n += len(d.Batches)
			got += len(d.Batches)
			d.Release()
		}
		if err := sub.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkServerOptions sweeps what Options leave open, two connections, memory only.
func BenchmarkServerOptions(b *testing.B) {
	for _, loops := range []int{1, 2} {
		for _, read := range []int{64 << 10, 256 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("loops-%d/read-%dK", loops, read>>10), func(b *testing.B) {
				r := benchRig(b, true, native.Options{Loops: loops, ReadBuffer: read})
				done := &count{want: int64(b.N) / 2 * 2, done: make(chan struct{})}
				var send [2]func()
				for i := range send {
					s := r.open(r.dial(nativeclient.Options{}), "s", 2, nativeclient.LevelMem)
					bt := fullBatch(b, new(batch.Builder), s.Shards()[i].ID, s.RouteEpoch(), 1024, probeBlock)
					send[i] = func() {
						for range b.N / 2 {
							if err := s.ProduceBatch(context.Background(), bt, nativeclient.LevelMem, 0, done); err != nil {
								b.Error(err)
							}
						}
					}
				}
				b.SetBytes(probeBlock)
				b.ResetTimer()
				defer cpu(b)()
				go send[0]()
				send[1]()
				if done.want > 0 {
					<-done.done
				}
			})
		}
	}
}
