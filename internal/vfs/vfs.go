// Package vfs is the disk behind an interface, so that the engine runs unchanged on a real disk (OS), on an in-memory
// disk that can be cloned as a crash would leave it (Mem), and on a disk that fails on request (Faulty).
//
// Nothing below engine/ touches package os for files: internal/arch holds that.
package vfs

import "io/fs"

// FS is a folder tree. All methods may be called concurrently. Errors are *fs.PathError-like and satisfy errors.Is with
// fs.ErrNotExist and fs.ErrExist where those apply.
type FS interface {
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Create makes a new file; it fails with fs.ErrExist where there is one. The entry is durable after SyncDir.
	Create(name string) (File, error)
	// Remove removes a file or an empty folder. Open files stay usable.
	Remove(name string) error
	// Rename replaces to where there is one. Within one folder it happens entirely or not at all, also in a crash.
	Rename(from, to string) error
	// List returns the names (not paths) in dir, sorted.
	List(dir string) ([]string, error)
	// MkdirAll makes dir and its parents where absent. Each new folder is an entry of its parent: durable after SyncDir of
	// the parent.
	MkdirAll(dir string) error
	// SyncDir makes creations, renames and removals in dir durable.
	SyncDir(dir string) error
	Stat(name string) (fs.FileInfo, error)
	// Free returns the bytes an unprivileged process may still write below dir.
	Free(dir string) (uint64, error)
	// Lock takes an exclusive lock on name (created if absent) until the returned unlock is called or the process ends.
	// It fails at once, with ErrLocked, where another process holds it.
	Lock(name string) (unlock func() error, err error)
}

// File is an open file. ReadAt, WriteAt and SyncData may be called concurrently with each other; Close must be last.
type File interface {
	// ReadAt and WriteAt follow io.ReaderAt and io.WriterAt: a short count always carries an error.
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	// SyncData makes written data, and the size needed to read it back, durable (fdatasync).
	SyncData() error
	// Preallocate reserves blocks for [0,size) and extends the file to size; the new bytes read as zero.
	Preallocate(size int64) error
	Truncate(size int64) error
	// NextData is the first offset at or after off that may hold something else than zeros; io.EOF: there is none. It may
	// err towards data. A reader passes over space with it that was reserved and never written.
	NextData(off int64) (int64, error)
	Size() (int64, error)
	// Close releases the file without syncing it.
	Close() error
}
