//go:build !windows

package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// control runs fn on the descriptor, again where a signal interrupted it; f cannot be closed meanwhile.
func control(f *os.File, fn func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	closed := raw.Control(func(fd uintptr) {
		for {
			if failed = fn(int(fd)); !errors.Is(failed, unix.EINTR) {
				return
			}
		}
	})
	if closed != nil {
		return os.ErrClosed // the one reason, for which internal/poll has an error of its own
	}
	return failed
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(dir, &st)
		if err == nil {
			return product(st.Bavail, st.Bsize), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return 0, err
		}
	}
}

// product takes the field types of every system's Statfs_t. Free blocks are negative where root has used the reserve.
func product[A, B int64 | uint64 | int32 | uint32](blocks A, size B) uint64 {
	if blocks < 0 || size < 0 {
		return 0
	}
	return uint64(blocks) * uint64(size)
}

// tryLock takes flock's exclusive lock, or says that it is held. The lock belongs to the open file, so a second Lock in
// this process is refused like one in another.
func tryLock(f *os.File) (held bool, err error) {
	err = control(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
