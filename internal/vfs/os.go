package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Records are private data: files and folders are closed to "other" users, the group may read.
const (
	fileMode   = 0o640
	folderMode = 0o750
)

// maxLockText bounds what is read of a lock file: a decimal process id.
const maxLockText = 32

// OS is the real disk, below the working directory or at absolute paths. It may be used concurrently.
func OS() FS { return disk{} }

type disk struct{}

var _ FS = disk{}

func (disk) Open(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (disk) Create(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (disk) Remove(name string) error              { return os.Remove(name) }
func (disk) Rename(from, to string) error          { return os.Rename(from, to) }
func (disk) MkdirAll(dir string) error             { return os.MkdirAll(dir, folderMode) }
func (disk) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

func (disk) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (disk) SyncDir(dir string) error {
	if err := syncFolder(dir); err != nil {
		return &fs.PathError{Op: "syncdir", Path: dir, Err: err}
	}
	return nil
}

func (disk) Free(dir string) (uint64, error) {
	n, err := freeBytes(dir)
	if err != nil {
		return 0, &fs.PathError{Op: "free", Path: dir, Err: err}
	}
	return n, nil
}

// Lock leaves the file behind on unlock: removing it would let a third process lock a file that has no name any more
// while a fourth locks the new one.
func (disk) Lock(name string) (func() error, error) {
	f, err := os.OpenFile(filepath.Clean(name), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	held, err := tryLock(f)
	switch {
	case err != nil:
		_ = f.Close() // nothing was written; the lock error is the one to report
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	case held:
		pid := lockHolder(f)
		_ = f.Close() // read only
		return nil, &LockedError{Name: name, PID: pid}
	}
	// The id in the file is for people: failing to write it does not weaken the lock.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f.Close, nil // closing releases the lock, and so does the end of the process
}

// lockHolder is the process id written in a lock file, 0 where there is none.
func lockHolder(f *os.File) int {
	var text [maxLockText]byte
	n, _ := f.ReadAt(text[:], 0) // short is the usual case
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// osFile adds to os.File, whose ReadAt and WriteAt already retry interrupted and short calls, what a log needs.
type osFile struct{ *os.File }

var _ File = osFile{}

func (f osFile) SyncData() error {
	if err := syncData(f.File); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}

func (f osFile) Preallocate(size int64) error {
	if err := preallocate(f.File, size); err != nil {
		return &fs.PathError{Op: "preallocate", Path: f.Name(), Err: err}
	}
	return nil
}

func (f osFile) NextData(off int64) (int64, error) {
	next, err := nextData(f.File, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, &fs.PathError{Op: "seek data", Path: f.Name(), Err: err}
	}
	return next, err
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// extend makes the file at least size long, without reserving anything.
func extend(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() >= size {
		return nil
	}
	return f.Truncate(size)
}
