//go:build !purego

package hashkey

import "golang.org/x/sys/cpu"

// vectorMD5 tells whether md5x8 may be called on this processor.
func vectorMD5() bool { return cpu.X86.HasAVX2 }

// md5x8 hashes one padded block in each lane.
//
//go:noescape
func md5x8(sums *[4][lanes]uint32, blocks *[16][lanes]uint32)
