package lane

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/vfs"
)

// Thousands wait at a time, for different ends, and each is woken when its end is reached and not before.
func TestManyWaiters(t *testing.T) {
	l := open(t, Options{FS: vfs.NewMem(0), Dir: testDir, RingSize: 1 << 20, SegmentSize: 1 << 20})
	var mk maker
	const waiting = 3000
	start := l.Watermarks().Published
	b := mk.make(t, 0, 0, 0, 100)
	var wg sync.WaitGroup
	var early, failed atomic.Int32
	for i := range waiting {
		end := start + uint64(rand.IntN(1000)+1)*uint64(len(b))
		level := Level(i % levels)
		wg.Go(func() {
			if err := l.Wait(context.Background(), end, level); err != nil {
				failed.Add(1)
			}
			if l.watermark(level) < end {
				early.Add(1)
			}
		})
	}
	awaitTest(t, func() bool { return l.waiters.listening.Load() == waiting })
	for range 1000 {
		mustAppend(t, l, 0, b)
	}
	wg.Wait()
	if early.Load() != 0 || failed.Load() != 0 {
		t.Fatalf("%d woken early, %d failed", early.Load(), failed.Load())
	}
}

func TestWaitEnds(t *testing.T) {
	f := func(name string, fsys vfs.FS, end func(l *Lane, cancel func()), want error) {
		t.Run(name, func(t *testing.T) {
			l := open(t, smallOptions(fsys))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var wg sync.WaitGroup
			var errs [2 * levels]error
			at := l.Watermarks().Published
			for i := range errs {
				wg.Go(func() { errs[i] = l.Wait(ctx, at+uint64(i/levels)*32+32, Level(i%levels)) })
			}
			awaitTest(t, func() bool { return l.waiters.listening.Load() == int32(len(errs)) })
			end(l, cancel)
			wg.Wait()
			for i, err := range errs {
				if !errors.Is(err, want) {
					t.Errorf("waiter %d: %v, want %v", i, err, want)
				}
			}
			for level := range Level(levels) {
				if n := len(l.waiters.levels[level].heap); n != 0 {
					t.Errorf("level %d: %d waiters left", level, n)
				}
			}
		})
	}
	closeLane := func(l *Lane, _ func()) {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	f("cancelled", vfs.NewMem(0), func(_ *Lane, cancel func()) { cancel() }, context.Canceled)
	f("cancelled, memory", nil, func(_ *Lane, cancel func()) { cancel() }, context.Canceled)
	f("closed", vfs.NewMem(0), closeLane, ErrClosed)
	f("closed, memory", nil, closeLane, ErrClosed)
	f("stopped", vfs.NewMem(0), func(l *Lane, _ func()) { l.stop(errInjected) }, errInjected)
}

// What has been reached is answered also after the end; what has not is refused.
func TestAfterClose(t *testing.T) {
	l := open(t, smallOptions(vfs.NewMem(0)))
	var mk maker
	tk := mustAppend(t, l, 0, mk.make(t, 0, 0, 0, 10))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := l.Wait(ctx, tk.End, LevelDisk); err != nil {
		t.Errorf("Wait for what Close made durable: %v", err)
	}
	_, appendErr := l.Append(0, mk.make(t, 0, 0, 0, 10))
	_, _, readErr := l.Read(nil, Query{})
	_, _, _, nextErr := l.Next(0, 0, LevelDisk)
	_, seekErr := l.SeekTime(0, 0)
	for what, err := range map[string]error{
		"Append": appendErr, "Read": readErr, "Next": nextErr, "SeekTime": seekErr, "Trim": l.Trim(1 << 50),
		"Wait": l.Wait(ctx, tk.End+32, LevelMem), "WaitSpace": l.WaitSpace(ctx, 10), "Err": l.Err(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// Observers hear of every level, in memory too, and of nothing once they have stopped.
func TestObserve(t *testing.T) {
	for _, fsys := range []vfs.FS{nil, vfs.NewMem(0)} {
		l := open(t, smallOptions(fsys))
		var latest [levels]atomic.Uint64
		var calls atomic.Int64
		stop := l.Observe(func(w Watermarks) {
			calls.Add(1)
			if w.Published < w.Written || w.Written < w.Durable {
				t.Errorf("%+v", w)
			}
			for i, v := range []uint64{w.Durable, w.Written, w.Published} {
				for {
					old := latest[i].Load()
					if old >= v || latest[i].CompareAndSwap(old, v) {
						break
					}
				}
			}
		})
		var mk maker
		for n := range uint64(100) {
			tk := mustAppend(t, l, 0, mk.make(t, 0, 0, n, 100))
			l.Want(tk.End, LevelDisk)
			for level := range levels {
				awaitTest(t, func() bool { return latest[level].Load() >= tk.End })
			}
		}
		stop()
		stop()
		before := calls.Load()
		tk := mustAppend(t, l, 0, mk.make(t, 0, 0, 0, 100))
		mustWait(t, l, tk.End, LevelDisk)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if n := calls.Load() - before; n != 0 {
			t.Fatalf("%d calls after stop", n)
		}
	}
}

// Data that nobody waits for is synced all the same, after lazySync, and not before.
func TestLazySync(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(0))
	l := open(t, Options{FS: disk, Dir: testDir, RingSize: 4096, SegmentSize: 1 << 20})
	var mk maker
	tk := mustAppend(t, l, 0, mk.make(t, 0, 0, 0, 100))
	mustWait(t, l, tk.End, LevelOS)
	if d := l.Watermarks().Durable; d >= tk.End {
		t.Fatal("synced at once")
	}
	awaitTest(t, func() bool { return l.Watermarks().Durable >= tk.End })
}

// A full ring refuses; who waits for space gets it, in turn, once the disk has moved on.
func TestWaitSpace(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(0))
	gate := make(chan struct{})
	l := open(t, smallOptions(disk))
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpWriteAt {
			<-gate
		}
		return nil
	})
	var mk maker
	b := mk.make(t, 0, 0, 0, 700)
	n := 0
	for ; ; n++ {
		if _, err := l.Append(0, b); errors.Is(err, ErrBusy) {
			break
		} else if err != nil || n > 10 {
			t.Fatalf("append %d: %v", n, err)
		}
	}
	if n < 2 {
		t.Fatalf("full after %d", n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var appended atomic.Int32
	for range 20 {
		wg.Go(func() {
			if _, err := appendWaiting(l, 0, b); err != nil {
				t.Error(err)
			}
			appended.Add(1)
		})
	}
	cancelled := make(chan error, 1)
	go func() { cancelled <- l.WaitSpace(ctx, len(b)) }()
	awaitTest(t, func() bool { return l.space.waiting.Load() > 10 })
	cancel()
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled waiter: %v", err)
	}
	if appended.Load() != 0 {
		t.Error("appended to a full ring")
	}
	close(gate)
	wg.Wait()
	if err := l.WaitSpace(context.Background(), 4096/4+1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than can ever be: %v", err)
	}
}

// A worker never sleeps through work that was stored before wake, whatever the interleaving.
func TestWorkerMissesNothing(t *testing.T) {
	var w worker
	w.init()
	var given, taken atomic.Int64
	var slept atomic.Int64
	const rounds = 20_000
	w.start(func() {
		for taken.Load() < rounds {
			if given.Load() == taken.Load() {
				slept.Add(1)
				d := time.Duration(0)
				if taken.Load()%3 == 0 {
					d = time.Millisecond
				}
				w.sleep(asleep, func() bool { return given.Load() != taken.Load() }, d)
				continue
			}
			taken.Add(1)
		}
	})
	for i := range int64(rounds) {
		given.Add(1)
		w.wake()
		for i%7 == 0 && taken.Load() < i { // let it fall asleep now and then
			runtime.Gosched()
		}
	}
	w.finish()
	if slept.Load() == 0 {
		t.Error("never slept")
	}
	if taken.Load() != rounds {
		t.Errorf("took %d of %d", taken.Load(), rounds)
	}
}

// With a disk that does not sync, the flusher stops after maxUnsealed segments, appends are refused, and all goes on when
// the disk does.
func TestUnsealedSegmentsAreBounded(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(0))
	gate := make(chan struct{})
	var mu sync.Mutex
	syncs := make(map[string]int)
	disk.Inject(func(op vfs.Op) error {
		if op.Kind != vfs.OpSyncData {
			return nil
		}
		mu.Lock()
		syncs[op.Name]++ // the first is the header's
		wait := syncs[op.Name] > 1
		mu.Unlock()
		if wait {
			<-gate
		}
		return nil
	})
	l := open(t, smallOptions(disk))
	var mk maker
	b := mk.make(t, 0, 0, 0, 900)
	appended := 0
	for idle := 0; idle < 5; { // full five times over 20 ms each
		if _, err := l.Append(0, b); err == nil {
			appended, idle = appended+1, 0
			continue
		} else if !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		idle++
		ctx, cancel := context.WithTimeout(context.Background(), 2*spaceRecheck)
		_ = l.WaitSpace(ctx, len(b))
		cancel()
	}
	unsealed := 0
	for _, s := range l.Segments() {
		if !s.Sealed {
			unsealed++
		}
	}
	if unsealed < maxUnsealed || unsealed > maxUnsealed+2 {
		t.Errorf("%d unsealed segments", unsealed)
	}
	close(gate)
	last := mustAppend(t, l, 0, b)
	mustWait(t, l, last.End, LevelDisk)
	if got := len(readAll(t, l, 0, 1<<20, LevelDisk)); got != appended+1 {
		t.Errorf("%d batches, want %d", got, appended+1)
	}
}
