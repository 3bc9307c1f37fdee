//go:build !amd64 || purego

package kinesisapi

func vectorBase64() bool { return false }

func decodeBlocks(_, _ *byte, _ int) bool { panic("BUG: no vector instructions on this processor") }

func encodeBlocks(_, _ *byte, _ int) { panic("BUG: no vector instructions on this processor") }
