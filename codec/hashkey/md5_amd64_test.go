//go:build !purego

package hashkey

import (
	"testing"

	"golang.org/x/sys/cpu"
)

// TestLanes compares the AVX2 and the AVX-512 form on blocks of any content: Many takes one of them only.
func TestLanes(t *testing.T) {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasAVX512F {
		t.Skip("this processor has one form at most; the other tests try that one")
	}
	var blocks [16][lanes]uint32
	var narrow, wide [4][lanes]uint32
	x := uint32(1)
	for range 1000 {
		for w := range blocks {
			for lane := range blocks[w] {
				x = x*1664525 + 1013904223
				blocks[w][lane] = x ^ x>>13
			}
		}
		md5x8(&narrow[0][0], &blocks[0][0])
		md5x8(&narrow[0][lanes/2], &blocks[0][lanes/2])
		if md5x16(&wide, &blocks); wide != narrow {
			t.Fatalf("AVX-512 says %x, AVX2 %x", wide, narrow)
		}
	}
}
