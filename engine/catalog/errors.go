package catalog

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed: the catalog has been closed.
	ErrClosed = errors.New("catalog: closed")
	// ErrTaken: another stream has that name.
	ErrTaken = errors.New("catalog: name is taken")
	// ErrInvalid: a stream that Put was given breaks a rule of the catalog, such as open shards that leave a hole.
	ErrInvalid = errors.New("catalog: invalid stream")
	// ErrTooLarge: one change does not fit an entry of the log.
	ErrTooLarge = errors.New("catalog: change too large")
)

// CorruptionError says that bytes which had been synced have changed or are gone. A torn last entry is none.
type CorruptionError struct {
	File   string // within the catalog's folder
	Offset int64
	Cause  string
}

// Error names file, offset and cause.
func (e *CorruptionError) Error() string {
	return fmt.Sprintf("catalog: %s is damaged at offset %d: %s", e.File, e.Offset, e.Cause)
}

// VersionError says that a newer build wrote the file.
type VersionError struct {
	File    string
	Offset  int64
	What    string // "file", "entry" or "change"
	Version uint32
}

// Error names the version; the file is whole, only this build is too old for it.
func (e *VersionError) Error() string {
	return fmt.Sprintf("catalog: %s at offset %d: unknown %s version %d, written by a newer build", e.File, e.Offset, e.What, e.Version)
}
