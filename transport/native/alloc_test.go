package native_test

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/native"
	"github.com/shardmill/shardmill/transport/nativeclient"
)

// allocations counts heap allocations of the whole process, client, server and engine, per run of fn, of which there
// are n. Something grows now and then (the lane's index, gnet's queue): less than one in a hundred runs is none.
func allocations(t *testing.T, n int, fn func(n int)) {
	t.Helper()
	fn(n / 10) // buffers grow to what they need
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn(n)
	runtime.ReadMemStats(&after)
	per := float64(after.Mallocs-before.Mallocs) / float64(n)
	t.Logf("%d allocations in %d frames", after.Mallocs-before.Mallocs, n)
	if per >= 0.01 {
		t.Errorf("%.3f allocations per frame", per)
	}
}

func skipUnderRace(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
}

func TestProduceAllocatesNothing(t *testing.T) {
	skipUnderRace(t)
	r := newRig(t, engine.Options{RingSize: 8 << 20}, native.Options{})
	c := r.dial(nativeclient.Options{})
	s := r.open(c, "s", 1, nativeclient.LevelMem)
	for _, size := range []int{10, 60_000} { // frames that come many in a read, and frames that come in several
		var bb batch.Builder
		bt := makeBatch(t, &bb, s.Shards()[0].ID, 0, string(make([]byte, size)))
		done := &signalDone{ch: make(chan nativeclient.Ack, 64)}
		allocations(t, 20_000, func(n int) {
			for i := range n {
				if i >= 32 {
					if a := <-done.ch; a.Err != nil {
						t.Fatal(a.Err)
					}
				}
				if err := s.ProduceBatch(context.Background(), bt, nativeclient.LevelMem, 0, done); err != nil {
					t.Fatal(err)
				}
			}
			for range min(n, 32) {
				<-done.ch
			}
		})
	}
}

// On streams of files the wake-up behind a group commit is gnet's, and allocates; a frame does not.
func TestProduceToFilesAllocatesPerCommit(t *testing.T) {
	skipUnderRace(t)
	r := newRig(t, memOptions(), native.Options{})
	c := r.dial(nativeclient.Options{})
	s := r.open(c, "s", 1, nativeclient.LevelOS)
	var bb batch.Builder
	bt := makeBatch(t, &bb, s.Shards()[0].ID, 0, "x")
	done := &signalDone{ch: make(chan nativeclient.Ack, 1024)}
	run := func(n int) {
		for i := range n {
			if i >= 1000 {
				<-done.ch
			}
			if err := s.ProduceBatch(context.Background(), bt, nativeclient.LevelOS, 0, done); err != nil {
				t.Fatal(err)
			}
		}
		for range min(n, 1000) {
			<-done.ch
		}
	}
	run(20_000)
	var before, after runtime.MemStats
	wakes := r.srv.Stats().Wakes
	runtime.ReadMemStats(&before)
	run(100_000)
	runtime.ReadMemStats(&after)
	wakes = r.srv.Stats().Wakes - wakes
	got := after.Mallocs - before.Mallocs
	t.Logf("%d allocations, %d wake-ups, 100000 frames", got, wakes)
	// gnet: a closure and a queue node; the disk in memory, its blocks.
	if got > 3*wakes+25_000 {
		t.Errorf("%d allocations with %d wake-ups", got, wakes)
	}
}

func TestFetchAllocatesNothing(t *testing.T) {
	skipUnderRace(t)
	r := newRig(t, engine.Options{RingSize: 8 << 20}, native.Options{})
	w := r.wire()
	w.hello()
	handle, shard := w.openStream("s", 2)
	var bb batch.Builder
	for range 4 {
		w.send(produceFrame(1, handle, 2, makeBatch(t, &bb, shard, 0, string(make([]byte, 10_000)))))
		w.expect(frame.OpAck)
	}
	request := frame.AppendFetch(nil, 7, handle, &frame.Fetch{Shard: shard, Kind: frame.FromHorizon, MinBytes: 1, MaxBytes: 1 << 20})
	w.send(request)
	h, body := w.expect(frame.OpFetch)
	first := bytes.Clone(body)
	buf := make([]byte, h.Size())
	_ = w.SetReadDeadline(time.Time{})
	allocations(t, 20_000, func(n int) {
		for range n {
			if _, err := w.Write(request); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(w, buf); err != nil {
				t.Fatal(err)
			}
		}
	})
	if !bytes.Equal(buf[frame.HeaderLen:], first) {
		t.Error("the last answer differs from the first")
	}
}
