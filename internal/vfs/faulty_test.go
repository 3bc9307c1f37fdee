package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"testing"
)

// story uses every operation once and gives the first error.
func story(fsys FS) error {
	if err := fsys.MkdirAll("/d"); err != nil {
		return err
	}
	unlock, err := fsys.Lock("/d/LOCK")
	if err != nil {
		return err
	}
	f, err := fsys.Create("/d/a")
	if err != nil {
		return errors.Join(err, unlock())
	}
	err = func() error {
		if err := f.Preallocate(8); err != nil {
			return err
		}
		if _, err := f.WriteAt([]byte("12345678"), 0); err != nil {
			return err
		}
		if err := f.SyncData(); err != nil {
			return err
		}
		if _, err := f.ReadAt(make([]byte, 8), 0); err != nil {
			return err
		}
		if _, err := f.Size(); err != nil {
			return err
		}
		return f.Truncate(4)
	}()
	if err := errors.Join(err, f.Close(), unlock()); err != nil {
		return err
	}
	if err := fsys.Rename("/d/a", "/d/b"); err != nil {
		return err
	}
	if f, err = fsys.Open("/d/b"); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	for _, do := range []func() error{
		func() error { return fsys.SyncDir("/d") },
		func() error { _, err := fsys.List("/d"); return err },
		func() error { _, err := fsys.Stat("/d/b"); return err },
		func() error { _, err := fsys.Free("/d"); return err },
		func() error { return fsys.Remove("/d/b") },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func TestEveryOperationFails(t *testing.T) {
	whole := NewFaulty(NewMem(0))
	must(t, story(whole))
	total := whole.Count(Any)
	var sum uint64
	for _, k := range Kinds() {
		n := whole.Count(k)
		if n == 0 {
			t.Errorf("the story does no %v", k)
		}
		sum += n
		for i := uint64(1); i <= n; i++ {
			disk := NewFaulty(NewMem(0))
			disk.Inject(Nth(k, i, syscall.EIO))
			err := story(disk)
			wantErr(t, err, syscall.EIO)
			var at *fs.PathError
			if !errors.As(err, &at) || at.Op != k.String() || at.Path == "" {
				t.Errorf("%v %d: error is %#v", k, i, err)
			}
		}
	}
	if sum != total || total < 15 {
		t.Fatalf("%d operations, by kind %d", total, sum)
	}
	for seq := uint64(1); seq <= total; seq++ {
		disk := NewFaulty(NewMem(0))
		disk.Inject(Nth(Any, seq, syscall.ENOSPC))
		wantErr(t, story(disk), syscall.ENOSPC)
	}
	disk := NewFaulty(NewMem(0))
	disk.Inject(Nth(Any, total+1, syscall.EIO))
	must(t, story(disk))
}

func TestFromSticks(t *testing.T) {
	disk := NewFaulty(NewMem(0))
	disk.Inject(From(OpWriteAt, 3, syscall.ENOSPC))
	f, err := disk.Create("/a")
	must(t, err)
	for i := range 6 {
		n, err := f.WriteAt([]byte("x"), int64(i))
		if failed := err != nil; failed != (i >= 2) || !failed && n != 1 {
			t.Fatalf("write %d: %d, %v", i+1, n, err)
		}
		_, err = f.Size()
		must(t, err)
	}
	if disk.Count(OpWriteAt) != 6 {
		t.Fatalf("counted %d writes", disk.Count(OpWriteAt))
	}
	disk.Inject(nil)
	_, err = f.WriteAt([]byte("y"), 2)
	must(t, err)
	if got := string(all(t, f)); got != "xxy" {
		t.Fatalf("content %q: a failed write wrote", got)
	}
	must(t, f.Close())
}

func TestPartial(t *testing.T) {
	f := func(let, want int) {
		t.Helper()
		disk := NewFaulty(NewMem(0))
		g := create(t, disk, "/a", "........")
		disk.Inject(func(op Op) error {
			if op.Kind != OpWriteAt && op.Kind != OpReadAt {
				return nil
			}
			if op.Name != "/a" || op.Off != 1 || op.Size != 4 {
				t.Errorf("operation is %+v", op)
			}
			return &Partial{Bytes: let, Err: syscall.ENOSPC}
		})
		n, err := g.WriteAt([]byte("1234"), 1)
		wantErr(t, err, syscall.ENOSPC)
		p := []byte("----")
		m, err := g.ReadAt(p, 1)
		wantErr(t, err, syscall.ENOSPC)
		disk.Inject(nil)
		text := "1234"[:want] + "...."[want:]
		if got := string(all(t, g)); n != want || m != want || got != "."+text+"..." || string(p[:m]) != text[:want] {
			t.Fatalf("%d bytes let through: wrote %d, read %d, file %q, read %q", let, n, m, got, p)
		}
	}
	f(-1, 0)
	f(0, 0)
	f(2, 2)
	f(4, 3) // all of it with an error would break io.WriterAt
}

// TestFailedCloseCloses: the descriptor is gone, as with the system call.
func TestFailedCloseCloses(t *testing.T) {
	disk := NewFaulty(NewMem(0))
	f := create(t, disk, "/a", "x")
	disk.Inject(Nth(OpClose, 1, syscall.EIO))
	wantErr(t, f.Close(), syscall.EIO)
	wantErr(t, f.Close(), fs.ErrClosed)
}

func TestFaultyCountsConcurrently(t *testing.T) {
	const workers, each = 4, 200
	disk := NewFaulty(NewMem(0))
	var mu sync.Mutex
	seen := map[uint64]bool{}
	disk.Inject(func(op Op) error {
		mu.Lock()
		defer mu.Unlock()
		if seen[op.Nth] {
			return fmt.Errorf("number %d twice", op.Nth)
		}
		seen[op.Nth] = true
		return nil
	})
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				if _, err := disk.Stat("/"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != workers*each || disk.Count(OpStat) != workers*each {
		t.Fatalf("%d numbers, %d counted", len(seen), disk.Count(OpStat))
	}
}

func TestKindNames(t *testing.T) {
	seen := map[string]bool{Any.String(): true, Kind(200).String(): true}
	for _, k := range Kinds() {
		if seen[k.String()] {
			t.Errorf("kind %d shares the name %q", k, k)
		}
		seen[k.String()] = true
	}
}
