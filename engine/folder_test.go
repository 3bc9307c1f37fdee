package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/internal/vfs"
)

func TestFolder(t *testing.T) {
	f := func(prepare func(fsys *vfs.Mem), want string) {
		t.Helper()
		fsys := vfs.NewMem(0)
		if err := fsys.MkdirAll("data"); err != nil {
			t.Fatal(err)
		}
		prepare(fsys)
		e, err := Open(testOptions(fsys))
		if want == "" {
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			return
		}
		var folder *FolderError
		if !errors.As(err, &folder) || !strings.HasPrefix(err.Error(), want) {
			t.Fatalf("%v, want %s", err, want)
		}
		unlock, err := fsys.Lock("data/LOCK") // a refused folder is not left locked
		if strings.Contains(want, "in use") {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := unlock(); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) func(fsys *vfs.Mem) {
		return func(fsys *vfs.Mem) {
			if err := writeSynced(fsys, "data/"+name, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	f(func(*vfs.Mem) {}, "")
	f(write("lost+found", ""), "")
	f(write("FORMAT.tmp", "shardm"), "") // a crash while the folder was made
	f(write("FORMAT", "shardmill data folder, format 1\n"), "")
	f(write("FORMAT", "shardmill data folder, format 2\n"), "data folder data: has format 2; use the build that wrote it; this one reads format 1")
	f(write("FORMAT", "hello\n"), `data folder data: its file FORMAT says "hello"; choose another folder`)
	f(write("FORMAT", ""), `data folder data: its file FORMAT says ""; choose another folder`)
	f(write("photo.jpg", "x"), "data folder data: holds photo.jpg but no FORMAT, so it is no data folder; choose an empty folder")
	f(func(fsys *vfs.Mem) {
		if _, err := fsys.Lock("data/LOCK"); err != nil {
			t.Fatal(err)
		}
	}, "data folder data: in use by another process (lock data/LOCK: held by another process); stop that process or choose another folder")
}

// Two engines in one folder are refused on the real disk too, and the folder is free again after Close.
func TestFolderInUse(t *testing.T) {
	o := testOptions(vfs.OS())
	o.Dir = t.TempDir()
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	var folder *FolderError
	if _, err := Open(o); !errors.As(err, &folder) || !errors.Is(err, vfs.ErrLocked) {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err = Open(o); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Err(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}
