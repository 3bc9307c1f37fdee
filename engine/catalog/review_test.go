package catalog

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/shardmill/shardmill/internal/vfs"
)

// A kill can leave a change, or the first snapshot's name, in the page cache only. Once an Open has shown it, a power loss
// must not take it back: records may have been acknowledged on it.
func TestShownAfterKillSurvivesPowerLoss(t *testing.T) {
	mem := vfs.NewMem(0)
	disk := vfs.NewFaulty(mem)
	var kills []*vfs.Mem
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncData || op.Kind == vfs.OpSyncDir || op.Kind == vfs.OpRemove {
			kills = append(kills, mem.KillClone())
		}
		return nil
	})
	c := openTest(t, disk)
	for _, change := range script() {
		must(t, change(c))
	}
	must(t, c.Close())
	for i, killed := range kills {
		shown := openTest(t, killed).All()
		c, err := Open(Options{FS: killed.CrashClone(nil, 0), Dir: "data/catalog"})
		if err != nil {
			t.Fatalf("kill %d, reopened, power lost: %v", i, err)
		}
		if diff := same(shown, c.All()); diff != "" {
			t.Fatalf("kill %d: a power loss takes back what was shown: %s", i, diff)
		}
		must(t, c.Close())
	}
	if len(kills) < 40 {
		t.Fatalf("only %d kills", len(kills))
	}
}

// The same where power is lost while the Open after the kill is at work.
func TestPowerLossWhileOpeningAfterKill(t *testing.T) {
	mem := vfs.NewMem(0)
	disk := vfs.NewFaulty(mem)
	var kills []*vfs.Mem
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncData || op.Kind == vfs.OpSyncDir || op.Kind == vfs.OpRemove {
			kills = append(kills, mem.KillClone())
		}
		return nil
	})
	c := openTest(t, disk)
	for _, change := range script()[:25] {
		must(t, change(c))
	}
	must(t, c.Close())
	r := rand.New(rand.NewPCG(3, 4))
	images := 0
	for i, killed := range kills {
		var lost []*vfs.Mem
		again := vfs.NewFaulty(killed)
		again.Inject(func(op vfs.Op) error {
			if op.Kind != vfs.OpReadAt && op.Kind != vfs.OpSize && op.Kind != vfs.OpStat {
				lost = append(lost, killed.CrashClone(r, 0.5), killed.CrashClone(r, 0.5))
			}
			return nil
		})
		must(t, openTest(t, again).Close())
		for _, m := range lost {
			c, err := Open(Options{FS: m, Dir: "data/catalog"})
			if err != nil {
				t.Fatalf("kill %d: %v", i, err)
			}
			must(t, c.Close())
			images++
		}
	}
	if images < 500 {
		t.Fatalf("only %d crash images", images)
	}
}

// However often ids are asked for when none are left, none that is in use comes again.
func TestShardIdsDoNotWrap(t *testing.T) {
	c := openTest(t, nil)
	must(t, c.Put(newStream(c, "first", 3)))
	last := c.ReserveShards(20000)
	for range math.MaxUint32/20000 + 10 {
		first := c.ReserveShards(20000)
		if first <= last && first != math.MaxUint32 {
			t.Fatalf("%d after %d", first, last)
		}
		last = first
	}
}

// A change whose sync failed may be there after a restart. Once it was shown it must stay, although to the kernel its pages
// count as written.
func TestShownAfterFailedSyncSurvivesPowerLoss(t *testing.T) {
	mem := vfs.NewMem(0)
	disk := vfs.NewFaulty(mem)
	c, err := Open(Options{FS: disk, Dir: "data/catalog"})
	must(t, err)
	must(t, c.Put(newStream(c, "first", 3)))
	disk.Inject(vfs.Nth(vfs.OpSyncData, disk.Count(vfs.OpSyncData)+1, errors.New("input/output error")))
	if err := c.Put(newStream(c, "second", 100)); err == nil {
		t.Fatal("no error")
	}
	disk.Inject(nil)
	must(t, c.Close())
	restarted, err := Open(Options{FS: mem, Dir: "data/catalog"})
	must(t, err)
	shown := restarted.All()
	must(t, restarted.Put(newStream(restarted, "third", 2)))
	left, err := Open(Options{FS: mem.CrashClone(nil, 0), Dir: "data/catalog"})
	must(t, err)
	if len(shown) != 2 || len(left.All()) != 3 {
		t.Fatalf("%d streams were shown, of those and one more a power loss leaves %d", len(shown), len(left.All()))
	}
	must(t, left.Close())
	must(t, restarted.Close())
}
