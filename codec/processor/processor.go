// Package processor tells which vector instructions may be used: those that the processor has and whose registers the
// operating system keeps. The functions ask once and then answer from memory; on other architectures than amd64, and
// with the build tag purego, the answer is no. It reads no bytes and writes none.
package processor

// AVX2 tells whether AVX2 may be used. Safe for concurrent use.
func AVX2() bool { return features.avx2 }

// AVX512F tells whether the AVX-512 foundation may be used. Safe for concurrent use.
func AVX512F() bool { return features.avx512f }

type set struct{ avx2, avx512f bool }

var features = detect() //nolint:gochecknoglobals // never written again; asking takes microseconds in a virtual machine
