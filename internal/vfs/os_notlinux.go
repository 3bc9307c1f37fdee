//go:build !linux

package vfs

import (
	"io"
	"os"
)

// syncData is a full sync: F_FULLFSYNC on darwin, FlushFileBuffers on Windows.
func syncData(f *os.File) error { return f.Sync() }

// preallocate extends without reserving: a full disk is then met by WriteAt.
func preallocate(f *os.File, size int64) error { return extend(f, size) }

// nextData knows nothing of holes here.
func nextData(f *os.File, off int64) (int64, error) {
	info, err := f.Stat()
	if err == nil && off >= info.Size() {
		err = io.EOF
	}
	return off, err
}
