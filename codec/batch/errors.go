package batch

import "errors"

// What a Builder answers.
var (
	// ErrFull: the record does not fit any more. Finish, Reset, and append it again.
	ErrFull = errors.New("batch: full")
	// ErrTooLarge: the record does not fit even an empty batch, or a whole batch is longer than the caller's limit.
	ErrTooLarge = errors.New("batch: too large")
	// ErrKeyTooLong: the partition key is longer than MaxKeyLen.
	ErrKeyTooLong = errors.New("batch: partition key too long")
	// ErrEmpty: a batch without records cannot be finished.
	ErrEmpty = errors.New("batch: no records")
)

// What the checks and the Iterator find.
var (
	// ErrShort: the bytes end before the batch does. More of them may make it whole.
	ErrShort = errors.New("batch: cut short")
	// ErrNotCommitted: the commit word is not the one of a batch at this position of this lane. Nothing has been
	// committed here, or the bytes are from an earlier lap or another lane.
	ErrNotCommitted = errors.New("batch: not committed")
	// ErrBadHeaderSum: the commit word is right but the header is damaged.
	ErrBadHeaderSum = errors.New("batch: header sum mismatch")
	// ErrBadSum: the stored body is damaged.
	ErrBadSum = errors.New("batch: body sum mismatch")
	// ErrBadLength: len, bodyLen, rawLen and records contradict each other or a limit of the format.
	ErrBadLength = errors.New("batch: impossible lengths")
	// ErrBadKind: neither data nor, where one may be, a pad.
	ErrBadKind = errors.New("batch: unknown kind")
	// ErrBadFlags: a codec, flag, dictionary or reserved field that this version does not know.
	ErrBadFlags = errors.New("batch: unknown codec or flag")
	// ErrServerField: a producer filled in a field that is the server's.
	ErrServerField = errors.New("batch: server field is set")
	// ErrBadPadding: a byte after the body is not zero.
	ErrBadPadding = errors.New("batch: padding is not zero")
	// ErrBadBody: the body does not decompress to rawLen bytes, or its records do not tile it.
	ErrBadBody = errors.New("batch: malformed body")
)
