package lane

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/vfs"
)

var errInjected = errors.New("injected")

// Each kind of disk operation fails once, at the first, some middle and a late call of it. Nothing is acknowledged that is
// not there, nothing after a failed write or sync is acknowledged at all, the error reaches callers, and the lane opens
// again with everything acknowledged.
func TestEachOperationFailsOnce(t *testing.T) {
	bothAppenders(t, func(t *testing.T, kind AppenderKind) {
		for _, op := range vfs.Kinds() {
			t.Run(op.String(), func(t *testing.T) {
				hit := false
				for _, nth := range []uint64{1, 2, 3, 5, 9, 20} {
					hit = failOnce(t, kind, op, nth) || hit
				}
				if !hit && op != vfs.OpFree && op != vfs.OpMkdirAll {
					t.Error("never asked for")
				}
			})
		}
	})
}

// failOnce runs a lane on a disk whose nth op of a kind fails and tells whether there was one.
func failOnce(t *testing.T, kind AppenderKind, op vfs.Kind, nth uint64) (hit bool) {
	t.Helper()
	const shards = 2
	mem := vfs.NewMem(0)
	disk := vfs.NewFaulty(mem)
	disk.Inject(vfs.Nth(op, nth, errInjected))
	defer func() { hit = disk.Count(op) >= nth }()
	m := newModel()
	o := smallOptions(disk)
	o.Appender = kind
	acked, err := exercise(t, o, m, shards, op == vfs.OpReadAt || op == vfs.OpOpen || op == vfs.OpClose || op == vfs.OpRemove)
	if disk.Count(op) < nth {
		if err != nil {
			t.Fatalf("%v %d: fails without a fault: %v", op, nth, err)
		}
	} else if err == nil && op == vfs.OpReadAt {
		// What precedes the bytes that could not be read was returned without an error, and the next read succeeded.
	} else if err == nil {
		t.Fatalf("%v %d: nobody was told", op, nth)
	} else if !errors.Is(err, errInjected) {
		t.Fatalf("%v %d: got %v", op, nth, err)
	}
	disk.Inject(nil)
	s := snapshot{what: fmt.Sprintf("%v %d failed, power lost", op, nth), disk: mem.CrashClone(nil, 0), until: acked, end: m.end, trim: m.trimmed}
	o.Appender = AppenderDefault
	s.check(t, m, o, shards)
	return
}

// exercise opens, appends, waits, reads, trims, closes, opens, reads and closes, and returns the first error, and how far
// the lane said that it was durable. It checks that a lane that has failed to write stays failed.
func exercise(t *testing.T, o Options, m *model, shards uint32, mayGoOn bool) (acked uint64, first error) {
	t.Helper()
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	for round := range 2 {
		l, err := Open(o)
		if err != nil {
			note(err)
			if l, err = Open(o); err != nil { // the fault was for once
				t.Fatal(err)
			}
		}
		var mk maker
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		for n := range uint64(60) {
			shard := uint32(n) % shards
			id := uint64(round)*1000 + n
			tk, err := appendWaiting(l, shard, mk.make(t, shard, uint64(shard), id, int(n*37%600)))
			if err == nil {
				m.add(tk, shard, id)
				if n%5 == 0 {
					if err = l.Wait(ctx, tk.End, LevelDisk); err == nil {
						acked = max(acked, tk.End)
					}
				}
			}
			note(err)
			if l.Err() != nil {
				break
			}
		}
		_, err = tryReadAll(l, 0, 1<<16, LevelDisk)
		note(err)
		if err == nil && round == 1 && l.Err() == nil {
			awaitTest(t, func() bool { return l.Segments()[1].Sealed || l.Err() != nil })
			m.trimmed = l.Segments()[1].End
			note(l.Trim(m.trimmed))
			note(l.Trim(m.trimmed))
		}
		if err := l.Err(); err != nil {
			note(err)
			stays(t, l, m.end)
		}
		cancel()
		failed := l.Err()
		err = l.Close()
		if failed != nil && !errors.Is(err, errInjected) {
			t.Errorf("Close after %v: %v", failed, err)
		}
		note(err)
		if err != nil && !mayGoOn {
			break
		}
	}
	return acked, first
}

// stays checks that a stopped lane appends nothing, acknowledges nothing, and says why.
func stays(t *testing.T, l *Lane, end uint64) {
	t.Helper()
	var mk maker
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := l.Append(0, mk.make(t, 0, 0, 0, 10))
	for _, err := range []error{err, l.Wait(ctx, end+1<<20, LevelDisk), l.WaitSpace(ctx, 100), l.Err()} {
		if !errors.Is(err, ErrStopped) || !errors.Is(err, errInjected) {
			t.Fatalf("stopped lane answers %v", err)
		}
	}
}

// A sync that fails is not tried again: the next one would succeed and save nothing.
func TestSyncIsNeverRetried(t *testing.T) {
	mem := vfs.NewMem(0)
	disk := vfs.NewFaulty(mem)
	l := open(t, smallOptions(disk))
	var mk maker
	tk := mustAppend(t, l, 0, mk.make(t, 0, 0, 0, 100))
	mustWait(t, l, tk.End, LevelDisk)
	var syncs atomic.Int32
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncData && path.Base(op.Name) == segmentName(16384)+makingSuffix && syncs.Add(1) == 1 {
			return errInjected
		}
		return nil
	})
	told := make(chan Watermarks, 100)
	stop := l.Observe(func(w Watermarks) { told <- w })
	defer stop()
	tk = mustAppend(t, l, 0, mk.make(t, 0, 0, 1, 100))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.Wait(ctx, tk.End, LevelDisk); !errors.Is(err, ErrStopped) || !errors.Is(err, errInjected) {
		t.Fatalf("Wait: %v", err)
	}
	awaitTest(t, func() bool { return len(told) > 0 })
	stays(t, l, tk.End)
	if err := l.Close(); !errors.Is(err, errInjected) {
		t.Fatalf("Close: %v", err)
	}
	if n := syncs.Load(); n != 1 {
		t.Fatalf("%d syncs, the first failed", n)
	}
}

// What fails partly is as failed as the rest: a write that got half its bytes to the disk.
func TestPartialWrite(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for nth := uint64(2); nth < 12; nth++ {
		mem := vfs.NewMem(0)
		disk := vfs.NewFaulty(mem)
		disk.Inject(vfs.Nth(vfs.OpWriteAt, nth, &vfs.Partial{Bytes: r.IntN(200), Err: errInjected}))
		m := newModel()
		o := smallOptions(disk)
		acked, err := exercise(t, o, m, 2, false)
		if !errors.Is(err, errInjected) {
			t.Fatalf("write %d: %v", nth, err)
		}
		for _, keep := range []float64{0, 0.5, 1} {
			s := snapshot{what: fmt.Sprintf("seed %d: write %d failed partly", seed, nth), disk: mem.CrashClone(r, keep), until: acked, end: m.end}
			s.check(t, m, smallOptions(nil), 2)
		}
	}
}
