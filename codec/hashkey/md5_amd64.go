//go:build !purego

package hashkey

import "golang.org/x/sys/cpu"

// vectorMD5 tells whether md5Lanes may be called on this processor.
func vectorMD5() bool { return cpu.X86.HasAVX2 }

// md5Lanes hashes the padded block in each of the first n lanes, and anything in the others.
func md5Lanes(sums *[4][lanes]uint32, blocks *[16][lanes]uint32, n int) {
	if cpu.X86.HasAVX512F && n > lanes/2 {
		md5x16(sums, blocks)
		return
	}
	md5x8(&sums[0][0], &blocks[0][0])
	if n > lanes/2 {
		md5x8(&sums[0][lanes/2], &blocks[0][lanes/2])
	}
}

// md5x8 hashes eight of the lanes, those that the pointers lead to. It wants AVX2.
//
//go:noescape
func md5x8(sums, blocks *uint32)

// md5x16 hashes all lanes. It wants AVX-512F.
//
//go:noescape
func md5x16(sums *[4][lanes]uint32, blocks *[16][lanes]uint32)
