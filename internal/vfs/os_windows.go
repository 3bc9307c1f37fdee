package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockByte lies far behind the process id in a lock file: Windows locks are mandatory, and the id must stay readable.
const lockByte = 1 << 30

// syncFolder has nothing to do: NTFS journals folder changes itself and a folder handle cannot be flushed.
func syncFolder(dir string) error {
	_, err := os.Stat(dir)
	return err
}

func freeBytes(dir string) (uint64, error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(path, &free, nil, nil); err != nil {
		return 0, err
	}
	return free, nil
}

func tryLock(f *os.File) (held bool, err error) {
	at := windows.Overlapped{Offset: lockByte}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return true, nil
	}
	return false, err
}
