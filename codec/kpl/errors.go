package kpl

import "errors"

// What Aggregated.Reset finds. To a reader all of them mean the same: this is a plain record.
var (
	// ErrPlain: the data does not begin with Magic, or is too short.
	ErrPlain = errors.New("kpl: not an aggregated record")
	// ErrDigest: the MD5 at the end is not that of the message.
	ErrDigest = errors.New("kpl: digest mismatch")
	// ErrMalformed: the message is no AggregatedRecord, or a record in it names a key that is not in the tables.
	ErrMalformed = errors.New("kpl: malformed message")
)

// What Builder.Add answers.
var (
	// ErrFull: the record does not fit any more. Append, Reset, and add it again.
	ErrFull = errors.New("kpl: full")
	// ErrTooLarge: the record does not fit even an empty Builder.
	ErrTooLarge = errors.New("kpl: record too large to aggregate")
)
