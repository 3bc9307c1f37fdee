package vfs

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// preallocateStep bounds one fallocate call. Some file systems (tmpfs) undo a call that a signal interrupts, so a single
// call for a large file might never end; each step that is done stays done.
const preallocateStep = 64 << 20

// syncData is fdatasync: the size is written where it changed, the modification time is not. That saves the second
// journal write that fsync makes on a preallocated file.
func syncData(f *os.File) error {
	return control(f, unix.Fdatasync)
}

func preallocate(f *os.File, size int64) error {
	for from := int64(0); from < size; from += preallocateStep {
		n := min(preallocateStep, size-from)
		err := control(f, func(fd int) error { return unix.Fallocate(fd, 0, from, n) })
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
			return extend(f, size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nextData asks the file system. Blocks that fallocate reserved count as no data until they are written, in the page cache
// or on the disk.
func nextData(f *os.File, off int64) (next int64, err error) {
	err = control(f, func(fd int) (err error) {
		next, err = unix.Seek(fd, off, unix.SEEK_DATA)
		return err
	})
	switch {
	case errors.Is(err, unix.ENXIO):
		return 0, io.EOF
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return off, nil
	}
	return next, err
}
