package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// onEveryDisk runs one test on the real disk, in memory, and through a Faulty that injects nothing.
func onEveryDisk(t *testing.T, f func(t *testing.T, fsys FS, dir string)) {
	t.Helper()
	t.Run("os", func(t *testing.T) { f(t, OS(), t.TempDir()) })
	t.Run("mem", func(t *testing.T) { f(t, NewMem(0), "/") })
	t.Run("faulty", func(t *testing.T) { f(t, NewFaulty(NewMem(0)), "/") })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func create(t *testing.T, fsys FS, name, text string) File {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	n, err := f.WriteAt([]byte(text), 0)
	if err != nil || n != len(text) {
		t.Fatalf("write %s: %d, %v", name, n, err)
	}
	return f
}

func content(t *testing.T, fsys FS, name string) string {
	t.Helper()
	f, err := fsys.Open(name)
	must(t, err)
	defer func() { must(t, f.Close()) }()
	return string(all(t, f))
}

func all(t *testing.T, f File) []byte {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	p := make([]byte, size)
	if n, err := f.ReadAt(p, 0); n != len(p) || err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("read %d of %d bytes: %v", n, len(p), err)
	}
	return p
}

func wantList(t *testing.T, fsys FS, dir string, want ...string) {
	t.Helper()
	got, err := fsys.List(dir)
	must(t, err)
	if !slices.Equal(got, want) {
		t.Fatalf("list of %s is %q, want %q", dir, got, want)
	}
}

func TestReadAndWrite(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "a")
		f := create(t, fsys, name, "hello")
		p := make([]byte, 8)
		if n, err := f.ReadAt(p, 3); n != 2 || !errors.Is(err, io.EOF) || string(p[:n]) != "lo" {
			t.Fatalf("short read: %d %q %v", n, p[:n], err)
		}
		if n, err := f.ReadAt(p, 5); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("read at the end: %d %v", n, err)
		}
		if n, err := f.ReadAt(p, 5000); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("read behind the end: %d %v", n, err)
		}
		// A hole reads as zero.
		_, err := f.WriteAt([]byte("far"), 10000)
		must(t, err)
		want := append([]byte("hello"), make([]byte, 9995)...)
		if got := all(t, f); !bytes.Equal(got, append(want, "far"...)) {
			t.Fatalf("content with a hole is wrong, %d bytes", len(got))
		}
		_, err = f.ReadAt(p, -1)
		if err == nil {
			t.Fatal("negative offset was read")
		}
		must(t, f.SyncData())
		must(t, fsys.SyncDir(dir))
		info, err := fsys.Stat(name)
		must(t, err)
		if info.Size() != 10003 || info.IsDir() || info.Name() != "a" || !info.Mode().IsRegular() {
			t.Fatalf("stat: %v", info)
		}
		must(t, f.Close())
		wantErr(t, f.Close(), fs.ErrClosed)
		_, err = f.WriteAt(p, 0)
		wantErr(t, err, fs.ErrClosed)
		_, err = f.ReadAt(p, 0)
		wantErr(t, err, fs.ErrClosed)
		wantErr(t, f.Truncate(0), fs.ErrClosed)
		wantErr(t, f.SyncData(), fs.ErrClosed)
		wantErr(t, f.Preallocate(1), fs.ErrClosed)
		_, err = f.Size()
		wantErr(t, err, fs.ErrClosed)
	})
}

func TestTruncateAndPreallocate(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, fsys FS, dir string) {
		f := create(t, fsys, filepath.Join(dir, "a"), "0123456789")
		wantSize := func(want int64) {
			t.Helper()
			if got, err := f.Size(); err != nil || got != want {
				t.Fatalf("size %d, %v; want %d", got, err, want)
			}
		}
		must(t, f.Truncate(4))
		wantSize(4)
		// What was cut off does not come back.
		must(t, f.Truncate(8))
		if got := all(t, f); string(got) != "0123\x00\x00\x00\x00" {
			t.Fatalf("after truncate: %q", got)
		}
		must(t, f.Preallocate(20000))
		wantSize(20000)
		must(t, f.Preallocate(0))
		must(t, f.Preallocate(100))
		wantSize(20000)
		if got := all(t, f); !bytes.Equal(got[:4], []byte("0123")) || !bytes.Equal(got[4:], make([]byte, 19996)) {
			t.Fatal("preallocated bytes are not zero")
		}
		must(t, f.Truncate(0))
		wantSize(0)
		if f.Truncate(-1) == nil {
			t.Fatal("negative truncate worked")
		}
		must(t, f.Close())
	})
}

func TestNames(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, fsys FS, dir string) {
		in := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
		_, err := fsys.Open(in("none"))
		wantErr(t, err, fs.ErrNotExist)
		_, err = fsys.Create(in("none", "a"))
		wantErr(t, err, fs.ErrNotExist)
		_, err = fsys.List(in("none"))
		wantErr(t, err, fs.ErrNotExist)
		_, err = fsys.Stat(in("none"))
		wantErr(t, err, fs.ErrNotExist)
		wantErr(t, fsys.SyncDir(in("none")), fs.ErrNotExist)
		wantErr(t, fsys.Remove(in("none")), fs.ErrNotExist)
		wantErr(t, fsys.Rename(in("none"), in("b")), fs.ErrNotExist)

		must(t, fsys.MkdirAll(in("x", "y")))
		must(t, fsys.MkdirAll(in("x", "y")))
		must(t, create(t, fsys, in("x", "b"), "b").Close())
		must(t, create(t, fsys, in("x", "a"), "a").Close())
		_, err = fsys.Create(in("x", "a"))
		wantErr(t, err, fs.ErrExist)
		wantList(t, fsys, in("x"), "a", "b", "y")
		if _, err = fsys.List(in("x", "a")); err == nil {
			t.Fatal("a file was listed")
		}
		if _, err = fsys.Open(in("x")); err == nil {
			t.Fatal("a folder was opened")
		}
		if fsys.MkdirAll(in("x", "a")) == nil {
			t.Fatal("a folder took a file's name")
		}
		if fsys.Remove(in("x")) == nil {
			t.Fatal("a full folder was removed")
		}
		must(t, fsys.Remove(in("x", "y")))

		// Rename replaces, within and between folders.
		must(t, fsys.Rename(in("x", "a"), in("x", "b")))
		wantList(t, fsys, in("x"), "b")
		must(t, fsys.MkdirAll(in("z")))
		must(t, fsys.Rename(in("x", "b"), in("z", "c")))
		must(t, fsys.Rename(in("z", "c"), in("z", "c")))
		wantList(t, fsys, in("x"))
		if got := content(t, fsys, in("z", "c")); got != "a" {
			t.Fatalf("renamed file has %q", got)
		}
		if fsys.Rename(in("z", "c"), in("x")) == nil {
			t.Fatal("a file replaced a folder")
		}
		if fsys.Rename(in("z"), in("z", "w")) == nil {
			t.Fatal("a folder moved into itself")
		}
		must(t, fsys.Rename(in("z"), in("x", "z")))
		wantList(t, fsys, in("x", "z"), "c")
		for _, d := range []string{in(), in("x"), in("x", "z")} {
			must(t, fsys.SyncDir(d))
		}
	})
}

func TestOpenFileOutlivesItsName(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "a")
		f := create(t, fsys, name, "old")
		must(t, fsys.Remove(name))
		g := create(t, fsys, name, "new")
		if got := all(t, f); string(got) != "old" {
			t.Fatalf("removed file has %q", got)
		}
		if got := all(t, g); string(got) != "new" {
			t.Fatalf("new file has %q", got)
		}
		must(t, f.Close())
		must(t, g.Close())
	})
}

func TestLock(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "LOCK")
		unlock, err := fsys.Lock(name)
		must(t, err)
		_, err = fsys.Lock(name)
		wantErr(t, err, ErrLocked)
		var locked *LockedError
		if !errors.As(err, &locked) || locked.Name != name {
			t.Fatalf("lock error is %#v", err)
		}
		wantList(t, fsys, dir, "LOCK")
		must(t, unlock())
		if unlock() == nil {
			t.Fatal("unlocked twice")
		}
		unlock, err = fsys.Lock(name)
		must(t, err)
		must(t, unlock())
		_, err = fsys.Lock(filepath.Join(dir, "none", "LOCK"))
		wantErr(t, err, fs.ErrNotExist)
		if _, err = fsys.Lock(dir); err == nil {
			t.Fatal("a folder was locked")
		}
	})
}

func TestFree(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, fsys FS, dir string) {
		if n, err := fsys.Free(dir); err != nil || n == 0 {
			t.Fatalf("free: %d, %v", n, err)
		}
		_, err := fsys.Free(filepath.Join(dir, "none"))
		wantErr(t, err, fs.ErrNotExist)
	})
}

func TestMkdirSync(t *testing.T) {
	onEveryDisk(t, func(t *testing.T, fsys FS, dir string) {
		deep := filepath.Join(dir, "a", "b", "c")
		must(t, MkdirSync(fsys, deep))
		must(t, MkdirSync(fsys, deep))
		must(t, create(t, fsys, filepath.Join(deep, "f"), "x").Close())
		if m, ok := fsys.(*Mem); ok {
			wantList(t, m.CrashClone(nil, 0), "/a/b", "c")
		}
		if f, ok := fsys.(*Faulty); ok {
			f.Inject(Nth(OpStat, f.Count(OpStat)+1, fs.ErrPermission))
			wantErr(t, MkdirSync(fsys, "/p/q"), fs.ErrPermission)
		}
	})
}

// TestConcurrentUse has writers of one file, each in its own range, readers that must see whole patterns, and folder
// traffic beside them.
func TestConcurrentUse(t *testing.T) {
	const writers, rounds, span = 4, 50, 3000
	onEveryDisk(t, func(t *testing.T, fsys FS, dir string) {
		f, err := fsys.Create(filepath.Join(dir, "shared"))
		must(t, err)
		must(t, f.Preallocate(writers*span))
		var wg sync.WaitGroup
		var wrote, read atomic.Int64
		for w := range writers {
			wg.Go(func() {
				p := make([]byte, span)
				got := make([]byte, span)
				own := filepath.Join(dir, string(rune('a'+w)))
				for i := range rounds {
					for j := range p {
						p[j] = byte(i + w)
					}
					if _, err := f.WriteAt(p, int64(w*span)); err != nil {
						t.Error(err)
					}
					wrote.Add(1)
					if _, err := f.ReadAt(got, int64(w*span)); err != nil || !bytes.Equal(got, p) {
						t.Errorf("writer %d reads back something else: %v", w, err)
					}
					read.Add(1)
					if err := f.SyncData(); err != nil {
						t.Error(err)
					}
					g, err := fsys.Create(own)
					if err != nil {
						t.Error(err)
						return
					}
					if err := errors.Join(g.Close(), fsys.Rename(own, own+"2"), fsys.SyncDir(dir), fsys.Remove(own+"2")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if wrote.Load() != writers*rounds || read.Load() != writers*rounds {
			t.Fatalf("%d writes, %d reads", wrote.Load(), read.Load())
		}
		wantList(t, fsys, dir, "shared")
		must(t, f.Close())
	})
}

// twins are the two disks under comparison, with the files open on both.
type twins struct {
	t     *testing.T
	r     *rand.Rand
	where string // seed and step, for messages
	dir   string
	mem   *Mem
	open  []twinFile
}

type twinFile struct{ os, mem File }

// TestMemIsLikeOS does the same random operations on both disks and compares every answer.
func TestMemIsLikeOS(t *testing.T) {
	for seed := range uint64(20) {
		w := &twins{t: t, r: rand.New(rand.NewPCG(seed, 7)), dir: t.TempDir(), mem: NewMem(0)}
		must(t, OS().MkdirAll(filepath.Join(w.dir, "d", "e")))
		must(t, w.mem.MkdirAll("d/e"))
		opened := 0
		for step := range 400 {
			w.where = fmt.Sprintf("seed %d step %d", seed, step)
			before := len(w.open)
			w.names()
			opened += len(w.open) - before
			w.contents(byte(step))
		}
		if opened == 0 {
			t.Fatalf("seed %d opened nothing", seed)
		}
		for _, d := range []string{"", "d", "d/e"} {
			got, err := w.mem.List(d)
			must(t, err)
			wantList(t, OS(), filepath.Join(w.dir, d), got...)
		}
		for _, f := range w.open {
			if !bytes.Equal(all(t, f.os), all(t, f.mem)) {
				t.Fatalf("seed %d: contents differ at the end", seed)
			}
			must(t, errors.Join(f.os.Close(), f.mem.Close()))
		}
	}
}

// same compares two errors by what callers look for.
func (w *twins) same(what string, a, b error) {
	w.t.Helper()
	for _, kind := range []error{fs.ErrNotExist, fs.ErrExist, io.EOF} {
		if (a == nil) != (b == nil) || errors.Is(a, kind) != errors.Is(b, kind) {
			w.t.Fatalf("%s: %s: os %v, mem %v", w.where, what, a, b)
		}
	}
}

func (w *twins) opened(what string, a File, errA error, b File, errB error) {
	w.t.Helper()
	w.same(what, errA, errB)
	if errA == nil {
		w.open = append(w.open, twinFile{a, b})
	}
}

// names does one operation on names.
func (w *twins) names() {
	w.t.Helper()
	names := []string{"a", "b", "d/a", "d/b", "d/e/a"}
	name, other := names[w.r.IntN(len(names))], names[w.r.IntN(len(names))]
	on := func(n string) string { return filepath.Join(w.dir, n) }
	switch w.r.IntN(5) {
	case 0:
		a, errA := OS().Create(on(name))
		b, errB := w.mem.Create(name)
		w.opened("create", a, errA, b, errB)
	case 1:
		a, errA := OS().Open(on(name))
		b, errB := w.mem.Open(name)
		w.opened("open", a, errA, b, errB)
	case 2:
		w.same("remove", OS().Remove(on(name)), w.mem.Remove(name))
	case 3:
		w.same("rename", OS().Rename(on(name), on(other)), w.mem.Rename(name, other))
	}
}

// contents does one operation on an open file.
func (w *twins) contents(fill byte) {
	w.t.Helper()
	if len(w.open) == 0 {
		return
	}
	at := w.r.IntN(len(w.open))
	a, b := w.open[at].os, w.open[at].mem
	off, size := w.r.Int64N(3*blockSize), w.r.IntN(2*blockSize)
	switch w.r.IntN(6) {
	case 0, 1:
		p := bytes.Repeat([]byte{fill}, size)
		_, errA := a.WriteAt(p, off)
		_, errB := b.WriteAt(p, off)
		w.same("write", errA, errB)
	case 2:
		w.same("truncate", a.Truncate(off), b.Truncate(off))
	case 3:
		w.same("preallocate", a.Preallocate(off), b.Preallocate(off))
	case 4:
		pa, pb := make([]byte, size), make([]byte, size)
		na, errA := a.ReadAt(pa, off)
		nb, errB := b.ReadAt(pb, off)
		w.same("read", errA, errB)
		if na != nb || !bytes.Equal(pa[:na], pb[:nb]) {
			w.t.Fatalf("%s: reads differ: %d and %d bytes", w.where, na, nb)
		}
	case 5:
		w.same("close", a.Close(), b.Close())
		w.open = slices.Delete(w.open, at, at+1)
	}
}
