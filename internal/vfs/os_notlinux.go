//go:build !linux

package vfs

import "os"

// syncData is a full sync: F_FULLFSYNC on darwin, FlushFileBuffers on Windows.
func syncData(f *os.File) error { return f.Sync() }

// preallocate extends without reserving: a full disk is then met by WriteAt.
func preallocate(f *os.File, size int64) error { return extend(f, size) }
