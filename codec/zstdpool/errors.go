package zstdpool

import "errors"

var (
	// ErrTooLarge: the decompressed size, declared or real, is above the limit.
	ErrTooLarge = errors.New("zstdpool: decompressed size above the limit")
	// ErrNoSize: the frame does not declare its decompressed size. Every frame of AppendEncode does.
	ErrNoSize = errors.New("zstdpool: frame without a declared size")
	// ErrCorrupt: not a zstd frame, or a damaged one.
	ErrCorrupt = errors.New("zstdpool: corrupt frame")
)
