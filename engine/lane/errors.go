package lane

import (
	"errors"
	"fmt"
)

var (
	// ErrBusy says that the ring is full: the disk, or a reader in the ring, is behind. Nothing was appended; WaitSpace
	// tells when to try again.
	ErrBusy = errors.New("lane: ring is full")
	// ErrStopped says that a write or a sync failed and the lane takes no more appends until it is opened again. The
	// error it is found in carries the cause.
	ErrStopped = errors.New("lane: stopped")
	// ErrClosed says that Close was called.
	ErrClosed = errors.New("lane: closed")
	// ErrTooLarge says that a batch is longer than batch.MaxLen or a quarter of the ring.
	ErrTooLarge = errors.New("lane: batch too large")
	// ErrInvalid says that an argument cannot be served: a batch shorter than its header says, a shard id from
	// MaxShards up, an option out of range.
	ErrInvalid = errors.New("lane: invalid argument")
	// ErrVersion says that a segment file was written by a newer build. It is left as it is.
	ErrVersion = errors.New("lane: segment version not supported")
	// ErrCorrupt is what every *CorruptionError is.
	ErrCorrupt = errors.New("lane: corrupt")
)

// CorruptionError says where stored bytes are not what was written, or where bytes that had been promised durable are
// missing. The files are left as they are.
type CorruptionError struct {
	Segment  string // file name
	Offset   int64  // bytes from the start of the file
	Position uint64 // in the lane, 0 where it is not known
	Cause    error
}

func (e *CorruptionError) Error() string {
	return fmt.Sprintf("lane: segment %s is corrupt at offset %d (position %#x): %v", e.Segment, e.Offset, e.Position, e.Cause)
}

// Unwrap makes errors.Is find both ErrCorrupt and the cause.
func (e *CorruptionError) Unwrap() []error { return []error{ErrCorrupt, e.Cause} }

// Causes of a CorruptionError.
var (
	errMagic     = errors.New("not a segment file")
	errHeaderSum = errors.New("segment header checksum does not match")
	errHeader    = errors.New("segment header fields contradict each other")
	errFooter    = errors.New("segment footer is damaged")
	errLane      = errors.New("segment belongs to another lane")
	errMissing   = errors.New("a segment file is missing")
	errPromised  = errors.New("bytes that had been promised durable are damaged or missing")
	errOverlap   = errors.New("segments overlap")
	errExtent    = errors.New("batch differs from its index entry")
	errLength    = errors.New("batch length out of range")
	errCrossing  = errors.New("batch crosses a ring boundary")
)
