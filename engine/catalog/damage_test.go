package catalog

import (
	"errors"
	"testing"

	"github.com/shardmill/shardmill/internal/vfs"
)

// folder is a catalog's folder with a snapshot that has streams and a log with three entries.
func folder(t *testing.T) (fsys *vfs.Mem, states [][]*StreamInfo, ends []int64) {
	t.Helper()
	fsys = vfs.NewMem(0)
	c, err := Open(Options{FS: fsys, Dir: "data/catalog"})
	must(t, err)
	for _, n := range []string{"a", "b"} {
		must(t, c.Put(newStream(c, n, 2)))
	}
	must(t, c.beginGeneration(2))
	must(t, c.removeGeneration(1))
	note := func() { states, ends = append(states, c.All()), append(ends, c.log.size) }
	note()
	for _, n := range []string{"c", "d", "e"} {
		must(t, c.Put(newStream(c, n, 1)))
		note()
	}
	must(t, c.Close())
	return fsys, states, ends
}

func edit(t *testing.T, fsys *vfs.Mem, name string, change func(f vfs.File, size int64) error) {
	t.Helper()
	f, err := fsys.Open("data/catalog/" + name)
	must(t, err)
	size, err := f.Size()
	must(t, err)
	must(t, change(f, size))
	must(t, f.Close())
}

const (
	snapshotName = "snapshot-0000000000000002"
	logName      = "log-0000000000000002"
)

func flip(at int64, mask byte) func(f vfs.File, size int64) error {
	return func(f vfs.File, _ int64) error {
		b := make([]byte, 1)
		if _, err := f.ReadAt(b, at); err != nil {
			return err
		}
		b[0] ^= mask
		_, err := f.WriteAt(b, at)
		return err
	}
}

func TestDamage(t *testing.T) {
	base, states, ends := folder(t)
	var corrupt *CorruptionError
	var version *VersionError
	f := func(name, file string, change func(f vfs.File, size int64) error, want any, survive int) {
		t.Helper()
		fsys := base.KillClone()
		edit(t, fsys, file, change)
		c, err := Open(Options{FS: fsys, Dir: "data/catalog"})
		if want != nil {
			if !errors.As(err, want) {
				t.Fatalf("%s: %v", name, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := same(states[survive], c.All()); d != "" {
			t.Fatalf("%s: %s", name, d)
		}
		must(t, c.Put(newStream(c, "z", 1)))
		must(t, c.Close())
		c, err = Open(Options{FS: fsys, Dir: "data/catalog"})
		must(t, err)
		if len(c.All()) != len(states[survive])+1 {
			t.Fatalf("%s: what was put after the repair is lost", name)
		}
		must(t, c.Close())
	}
	cut := func(n int64) func(f vfs.File, size int64) error {
		return func(f vfs.File, _ int64) error { return f.Truncate(n) }
	}
	grow := func(n int64) func(f vfs.File, size int64) error {
		return func(f vfs.File, size int64) error { return f.Truncate(size + n) }
	}
	f("nothing", logName, cut(ends[3]), nil, 3)
	f("log cut after an entry", logName, cut(ends[2]), nil, 2)
	for n := ends[2] + 1; n < ends[3]; n += 5 {
		f("log cut inside the last entry", logName, cut(n), nil, 2)
	}
	f("log cut to nothing but its header", logName, cut(headerLen), nil, 0)
	f("log cut inside its header", logName, cut(headerLen-1), &corrupt, 0)
	f("zeros behind the log", logName, grow(100), nil, 3)
	f("a block of zeros behind the log", logName, grow(1<<16), nil, 3)
	f("last entry: sum", logName, flip(ends[2]+9, 1), nil, 2)
	f("last entry: body", logName, flip(ends[3]-12, 1), nil, 2)
	f("last entry: length", logName, flip(ends[2]+4, 1), nil, 2)
	f("middle entry: sum", logName, flip(ends[1]+9, 1), &corrupt, 0)
	f("middle entry: body", logName, flip(ends[1]+20, 1), &corrupt, 0)
	f("middle entry: length", logName, flip(ends[1]+4, 0x80), &corrupt, 0)
	f("middle entry: mark", logName, flip(ends[1], 1), &corrupt, 0)
	f("log magic", logName, flip(0, 1), &corrupt, 0)
	f("log of another generation", logName, flip(16, 1), &corrupt, 0)
	f("log version", logName, flip(8, 2), &version, 0)
	f("snapshot version", snapshotName, flip(8, 2), &version, 0)
	f("snapshot cut", snapshotName, func(f vfs.File, size int64) error { return f.Truncate(size - 8) }, &corrupt, 0)
	f("snapshot empty", snapshotName, cut(0), &corrupt, 0)
	f("snapshot longer", snapshotName, grow(8), &corrupt, 0)
}

// No flipped bit of the snapshot may go unnoticed, nor one of an entry that has a successor.
func TestEveryByteMatters(t *testing.T) {
	base, states, ends := folder(t)
	f := func(file string, from, to int64, tolerated func(c *Catalog) bool) {
		t.Helper()
		for at := from; at < to; at++ {
			fsys := base.KillClone()
			edit(t, fsys, file, flip(at, 0x10))
			c, err := Open(Options{FS: fsys, Dir: "data/catalog"})
			if err == nil {
				if !tolerated(c) {
					t.Fatalf("%s: byte %d flipped, nothing noticed", file, at)
				}
				must(t, c.Close())
				continue
			}
			var corrupt *CorruptionError
			var version *VersionError
			if !errors.As(err, &corrupt) && !errors.As(err, &version) {
				t.Fatalf("%s: byte %d flipped: %v", file, at, err)
			}
		}
	}
	size := int64(0)
	edit(t, base, snapshotName, func(_ vfs.File, n int64) error { size = n; return nil })
	// Padding is the one thing that means nothing.
	whole := func(c *Catalog) bool { return same(states[3], c.All()) == "" }
	f(snapshotName, 0, size, whole)
	f(logName, 0, ends[2], whole)
	f(logName, ends[2], ends[3], func(c *Catalog) bool { return whole(c) || same(states[2], c.All()) == "" })
}

func TestMissingFiles(t *testing.T) {
	base, _, _ := folder(t)
	f := func(remove ...string) {
		t.Helper()
		fsys := base.KillClone()
		for _, n := range remove {
			must(t, fsys.Remove("data/catalog/"+n))
		}
		var corrupt *CorruptionError
		if _, err := Open(Options{FS: fsys, Dir: "data/catalog"}); !errors.As(err, &corrupt) {
			t.Fatalf("without %v: %v", remove, err)
		}
	}
	f(logName)
	f(snapshotName)
}

// A future build's changes must not pass for damage.
func TestUnknownChange(t *testing.T) {
	f := func(want string, payload []byte) {
		t.Helper()
		err := newState().apply(payload, "log", 40)
		var version *VersionError
		if !errors.As(err, &version) || version.What != want {
			t.Fatalf("%v, want unknown %s version", err, want)
		}
	}
	f("entry", []byte{2, 1, 0})
	f("change", []byte{entryVersion, 99, 0})
}
