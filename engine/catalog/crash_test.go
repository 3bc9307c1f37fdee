package catalog

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/shardmill/shardmill/internal/vfs"
)

// Every disk that a kill or a power loss could leave, at every operation of the script, must open to the state before the
// change under way or to the one after it.
func TestCrashAtEveryStep(t *testing.T) {
	mem := vfs.NewMem(0)
	disk := vfs.NewFaulty(mem)
	r := rand.New(rand.NewPCG(1, 2))
	type image struct {
		disk *vfs.Mem
		op   vfs.Op
		step int
	}
	var images []image
	at := -1
	disk.Inject(func(op vfs.Op) error {
		switch op.Kind {
		case vfs.OpReadAt, vfs.OpSize, vfs.OpList, vfs.OpStat, vfs.OpOpen, vfs.OpClose:
			return nil // change nothing
		}
		for _, d := range []*vfs.Mem{mem.KillClone(), mem.CrashClone(nil, 0), mem.CrashClone(r, 0.5), mem.CrashClone(r, 0.5), mem.CrashClone(nil, 1)} {
			images = append(images, image{d, op, at})
		}
		return nil
	})
	c := openTest(t, disk)
	states := [][]*StreamInfo{nil} // states[i] is what was acknowledged before step i
	for i, change := range script() {
		at = i
		must(t, change(c))
		states = append(states, c.All())
	}
	must(t, c.Close())
	disk.Inject(nil)
	opened := 0
	for _, m := range images {
		c, err := Open(Options{FS: m.disk, Dir: "data/catalog"})
		if err != nil {
			t.Fatalf("step %d, before %v %s: %v", m.step, m.op.Kind, m.op.Name, err)
		}
		got := c.All()
		before := same(states[max(m.step, 0)], got)
		if before != "" && (m.step < 0 || same(states[m.step+1], got) != "") {
			t.Fatalf("step %d, before %v %s: neither the state before nor after: %s", m.step, m.op.Kind, m.op.Name, before)
		}
		must(t, c.Put(newStream(c, "after-crash", 1)))
		must(t, c.Close())
		again, err := Open(Options{FS: m.disk, Dir: "data/catalog"})
		must(t, err)
		if len(again.All()) != len(got)+1 {
			t.Fatalf("step %d: a change after the crash is lost", m.step)
		}
		must(t, again.Close())
		opened++
	}
	if opened < 300 {
		t.Fatalf("only %d crash images", opened)
	}
}

// Each operation on the disk fails once. What was acknowledged must be there after a reopen, the failed change may be,
// and the catalog that saw the failure must take nothing more.
func TestEachOperationFailsOnce(t *testing.T) {
	boom := errors.New("boom")
	failures := 0
	for _, kind := range vfs.Kinds() {
		for nth := uint64(1); ; nth++ {
			mem := vfs.NewMem(0)
			disk := vfs.NewFaulty(mem)
			disk.Inject(vfs.Nth(kind, nth, boom))
			acked, failed := runScript(t, disk, boom)
			if disk.Count(kind) < nth {
				break // the script has fewer of them
			}
			failures++
			disk.Inject(nil)
			c := openTest(t, mem)
			before := same(acked, c.All())
			if before != "" && (failed == nil || same(failed, c.All()) != "") {
				t.Fatalf("%v %d: %s", kind, nth, before)
			}
			must(t, c.Close())
		}
	}
	if failures < 80 {
		t.Fatalf("only %d failures", failures)
	}
}

// runScript runs the script until it fails and returns what was acknowledged and what would have been.
func runScript(t *testing.T, disk vfs.FS, boom error) (acked, failed []*StreamInfo) {
	t.Helper()
	model, err := Open(Options{})
	must(t, err)
	c, err := Open(Options{FS: disk, Dir: "data/catalog", CompactAt: 2 << 10})
	if err != nil {
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		return nil, nil
	}
	for _, change := range script() {
		must(t, change(model))
		if err := change(c); err != nil {
			if !errors.Is(err, boom) {
				t.Fatal(err)
			}
			failed = model.All()
			break
		}
		acked = c.All()
	}
	if failed != nil {
		if err := c.Put(newStream(c, "later", 1)); !errors.Is(err, boom) {
			t.Fatalf("a failed catalog takes a change: %v", err)
		}
		if err := c.Err(); !errors.Is(err, boom) {
			t.Fatalf("Err is %v", err)
		}
	}
	if err := c.Close(); err != nil && !errors.Is(err, boom) {
		t.Fatal(err)
	}
	return acked, failed
}
