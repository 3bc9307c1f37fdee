//go:build !purego

package kinesisapi

import "github.com/shardmill/shardmill/codec/processor"

// vectorBase64 tells whether decodeBlocks and encodeBlocks may be called on this processor.
func vectorBase64() bool { return processor.AVX2() }

// decodeBlocks decodes n letters, at least 32 and a multiple of 4, and tells whether all were letters; if not, dst holds
// anything. It writes up to 8 bytes more than n/4*3.
//
//go:noescape
func decodeBlocks(dst, src *byte, n int) bool

// encodeBlocks encodes 24 bytes to 32 letters as often as blocks says, at least once. It reads 4 bytes more.
//
//go:noescape
func encodeBlocks(dst, src *byte, blocks int)
