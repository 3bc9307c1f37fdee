package loadgen

import (
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/native"
)

// startNative runs a native server over a disk in memory and returns its target.
func startNative(t testing.TB) (target string, e *engine.Engine) {
	t.Helper()
	const ring = 32 << 20
	e, err := engine.Open(engine.Options{FS: vfs.NewMem(4 << 30), Dir: "data", RingSize: ring, SegmentSize: ring})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := native.Listen(native.Options{Addr: "127.0.0.1:0", Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("close server: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Errorf("close engine: %v", err)
		}
	})
	return "native://" + srv.Addr().String(), e
}

func TestNative(t *testing.T) {
	addr, _ := startNative(t)
	f := func(name string, c Config) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			c.Target, c.Duration, c.Keys = addr, 250*time.Millisecond, 100
			r, err := Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if r.AckedRecords == 0 || !r.Verified || *r.Lost != 0 || *r.Foreign != 0 || r.AckedRecords != r.SentRecords || r.Errors != 0 {
				t.Fatalf("%+v", r)
			}
			if c.Consumers > 0 && r.EndToEnd.Count == 0 {
				t.Fatal("nothing measured end to end")
			}
		})
	}
	f("saturate disk", Config{Stream: "disk"})
	f("again on the same stream", Config{Stream: "disk"})
	f("os, small batches, read along", Config{Stream: "os", Ack: AckOS, BatchRecords: 10, Consumers: 2})
	f("mem, single records", Config{Stream: "mem", Ack: AckMem, BatchRecords: 1})
	f("open", Config{Stream: "open", Ack: AckOS, Mode: Open, Rate: 20_000, Consumers: 1, Shards: 3})
	f("large records", Config{Stream: "large", Ack: AckOS, Size: 200_000})
	f("lines", Config{Stream: "lines", Ack: AckOS, Payload: "testdata/lines.txt"})
}

func TestNativeSplitUnderLoad(t *testing.T) {
	t.Parallel()
	addr, e := startNative(t)
	c := Config{Target: addr, Stream: "s", Shards: 2, Ack: AckOS, Duration: 2 * time.Second, BatchRecords: 50, Consumers: 1}
	split := make(chan error, 8)
	c.Progress = once(func() {
		account, region := e.Defaults()
		s, err := e.Stream(engine.Name{Account: account, Region: region, Stream: "s"})
		if err == nil {
			err = s.Reshard(t.Context(), 4)
		}
		split <- err
	})
	r, err := Run(t.Context(), c)
	if splitErr := <-split; splitErr != nil {
		t.Fatal(splitErr)
	}
	// The generator does not follow the new shard map: requests for closed shards are refused, or moved on by the
	// server. Either way nothing acknowledged may be lost.
	if err != nil {
		t.Fatal(err)
	}
	if r.AckedRecords == 0 || *r.Lost != 0 {
		t.Fatalf("records %d, lost %d", r.AckedRecords, *r.Lost)
	}
}

func TestNativeServerDies(t *testing.T) {
	t.Parallel()
	e, err := engine.Open(engine.Options{FS: vfs.NewMem(4 << 30), Dir: "data", RingSize: 32 << 20, SegmentSize: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close() //nolint:errcheck // only there to be left
	srv, err := native.Listen(native.Options{Addr: "127.0.0.1:0", Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	r, err := Run(t.Context(), Config{
		Target: "native://" + srv.Addr().String(), Ack: AckOS, Duration: 20 * time.Second, Timeout: 2 * time.Second,
		Progress: once(func() { closed <- srv.Close() }),
	})
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	checkDied(t, r, err)
}

// once makes a Progress that runs f, on a goroutine of its own, when the load has been running for a second.
func once(f func()) func(Interval) {
	var o sync.Once
	return func(Interval) { o.Do(func() { go f() }) }
}
