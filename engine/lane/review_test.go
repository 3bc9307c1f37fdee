package lane

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/shardmill/shardmill/internal/vfs"
)

// One write to the file takes no more than maxWrite, which rarely is where a batch ends. No watermark may stop within a
// batch: readers go by where a batch starts, and a durable hint within a torn batch would pass for a broken promise.
func TestWatermarksStopBetweenBatches(t *testing.T) {
	bothAppenders(t, func(t *testing.T, kind AppenderKind) {
		mem := vfs.NewMem(0)
		disk := vfs.NewFaulty(mem)
		const size = 300 << 10
		hold := make(chan struct{})
		var held atomic.Bool
		disk.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpWriteAt && op.Off >= headerLen && held.CompareAndSwap(false, true) {
				<-hold // until there is more to write than one write takes
			}
			return nil
		})
		l := open(t, Options{FS: disk, Dir: testDir, RingSize: 16 << 20, SegmentSize: 16 << 20, Appender: kind})
		ends := map[uint64]bool{l.Watermarks().Published: true}
		var bad atomic.Pointer[Watermarks]
		var mk maker
		b := mk.make(t, 1, 1, 1, size)
		tk := mustAppend(t, l, 1, b)
		ends[tk.End] = true
		first := tk
		awaitTest(t, held.Load)
		for range 12 {
			tk = mustAppend(t, l, 1, b)
			ends[tk.End] = true
		}
		huge := mustAppend(t, l, 1, mk.make(t, 1, 1, 2, 3<<20))
		ends[huge.End] = true
		stop := l.Observe(func(w Watermarks) {
			if !ends[w.Written] || !ends[w.Durable] {
				bad.CompareAndSwap(nil, &w)
			}
		})
		close(hold)
		mustWait(t, l, huge.End, LevelDisk)
		stop()
		if w := bad.Load(); w != nil {
			t.Fatalf("watermarks %+v lie within a batch; batches of %d bytes from %#x on", *w, first.End-first.Position, first.Position)
		}
	})
}

// Power is lost in the middle of a group of writes: the disk has a later block and lacks an earlier one, as it may of what
// was not synced. That is a torn tail and no corruption, whatever the sizes of the batches are.
func TestReorderedTailOfLongGroupIsNoCorruption(t *testing.T) {
	mem := vfs.NewMem(0)
	disk := vfs.NewFaulty(mem)
	var steps [3]chan struct{} // before the first write, the third, and syncs from then on
	for i := range steps {
		steps[i] = make(chan struct{})
	}
	var writes atomic.Int32
	var lastSync atomic.Bool
	disk.Inject(func(op vfs.Op) error {
		switch {
		case op.Kind == vfs.OpWriteAt && op.Off >= headerLen:
			switch writes.Add(1) {
			case 1:
				<-steps[0]
			case 3:
				<-steps[1]
			}
		case op.Kind == vfs.OpSyncData && lastSync.Load():
			<-steps[2]
		}
		return nil
	})
	o := Options{FS: disk, Dir: testDir, RingSize: 16 << 20, SegmentSize: 16 << 20}
	l := open(t, o)
	var mk maker
	b := mk.make(t, 1, 1, 1, 300<<10)
	var tk Ticket
	for i := range 6 {
		tk = mustAppend(t, l, 1, b)
		if i == 0 {
			awaitTest(t, func() bool { return writes.Load() == 1 })
		}
	}
	l.Want(tk.End, LevelDisk)
	close(steps[0])
	awaitTest(t, func() bool { w := l.Watermarks(); return writes.Load() == 3 && w.Durable == w.Written })
	lastSync.Store(true)
	tk = mustAppend(t, l, 1, b) // carries the durable watermark as its hint
	close(steps[1])
	mustWait(t, l, tk.End, LevelOS)
	images := make([]*vfs.Mem, 0, 40)
	for seed := range uint64(cap(images)) {
		images = append(images, mem.CrashClone(rand.New(rand.NewPCG(seed, 0)), 0.9))
	}
	close(steps[2])
	for seed, image := range images {
		again, err := Open(Options{FS: image, Dir: testDir, RingSize: o.RingSize, SegmentSize: o.SegmentSize})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// openFiles is how many files are open on a disk.
func openFiles(disk *vfs.Faulty) int {
	return int(disk.Count(vfs.OpOpen) + disk.Count(vfs.OpCreate) - disk.Count(vfs.OpClose))
}

// A lane that is only written to keeps no more files open than one that is read.
func TestFilesOfSealedSegmentsAreClosed(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(0))
	l := open(t, smallOptions(disk))
	var mk maker
	for n := uint64(0); ; n++ {
		mustAppend(t, l, 1, mk.make(t, 1, 1, n, 900))
		if open := openFiles(disk); open > maxOpenFiles+maxUnsealed+4 {
			t.Fatalf("%d files are open", open)
		}
		if len(l.Segments()) > maxOpenFiles+80 {
			break
		}
	}
	if open := openFiles(disk); open < maxOpenFiles {
		t.Fatalf("only %d files are open: they are not kept for readers", open)
	}
}

// An Open that fails leaves no file open.
func TestFailedOpenClosesFiles(t *testing.T) {
	mem := vfs.NewMem(0)
	l := open(t, smallOptions(mem))
	var mk maker
	for n := range uint64(60) {
		tk := mustAppend(t, l, 1, mk.make(t, 1, 1, n, 900))
		mustWait(t, l, tk.End, LevelOS)
	}
	disk := vfs.NewFaulty(mem.KillClone())
	failed := 0
	for nth := uint64(1); nth < 400; nth++ {
		before := openFiles(disk)
		fail := vfs.Nth(vfs.Any, disk.Count(vfs.Any)+nth, syscall.EIO)
		disk.Inject(func(op vfs.Op) error {
			err := fail(op)
			if err != nil && (op.Kind == vfs.OpOpen || op.Kind == vfs.OpCreate) {
				before++ // counted but not opened
			}
			return err
		})
		l, err := Open(smallOptions(disk))
		disk.Inject(nil)
		if err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			break
		}
		failed++
		if open := openFiles(disk); open != before {
			t.Fatalf("failure %d leaves %d files open: %v", nth, open-before, err)
		}
	}
	if failed < 5 {
		t.Fatalf("only %d failed opens", failed)
	}
}

// A failed sync leaves pages that look clean and are not on the disk. A restart without a reboot finds them in the page
// cache: before it shows them as durable, it must have written them again.
func TestRestartAfterFailedSync(t *testing.T) {
	mem := vfs.NewMem(0)
	disk := vfs.NewFaulty(mem)
	l := open(t, Options{FS: disk, Dir: testDir, RingSize: 64 << 10, SegmentSize: 64 << 10})
	var mk maker
	tk := mustAppend(t, l, 1, mk.make(t, 1, 1, 1, 900))
	mustWait(t, l, tk.End, LevelDisk)
	var fail atomic.Bool
	disk.Inject(func(op vfs.Op) error {
		if fail.Load() && op.Kind == vfs.OpSyncData {
			return syscall.EIO
		}
		return nil
	})
	awaitTest(t, func() bool { return l.prepared.Load() >= l.aheadOf(l.published()) }) // whose sync is not meant
	fail.Store(true)
	for n := range uint64(3) {
		if tk, err := appendWaiting(l, 1, mk.make(t, 1, 1, n+2, 12000)); err == nil {
			_ = l.Wait(context.Background(), tk.End, LevelDisk)
		}
	}
	_ = l.Close()
	disk.Inject(nil)
	again := open(t, Options{FS: mem, Dir: testDir, RingSize: 64 << 10, SegmentSize: 64 << 10})
	shown := readAll(t, again, 1, 1<<16, LevelDisk)
	o := Options{FS: mem.CrashClone(nil, 0), Dir: testDir, RingSize: 64 << 10, SegmentSize: 64 << 10}
	last := open(t, o)
	kept, err := tryReadAll(last, 1, 1<<16, LevelDisk)
	if err != nil || len(kept) != len(shown) || len(shown) < 2 {
		t.Fatalf("%d batches were shown as durable, a power loss leaves %d: %v", len(shown), len(kept), err)
	}
}
