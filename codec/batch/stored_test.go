package batch

import (
	"encoding/binary"
	"testing"
)

func putCommit(p []byte, word uint64) { binary.LittleEndian.PutUint64(p[offCommit:], word) }

func TestPad(t *testing.T) {
	for _, n := range []int{32, 64, 96, 128, 4096} {
		p := make([]byte, n)
		for i := range p {
			p[i] = 0xa5
		}
		PutPad(p, 8192)
		putCommit(p, CommitWord(8192, 77))
		b, err := CheckStored(p, 8192, 77)
		if err != nil || b.Kind() != KindPad || b.Len() != n {
			t.Fatalf("pad of %d: %v, %v", n, b, err)
		}
		if b, err := CheckStoredHeader(p[:PadHeaderLen], 8192, 77); err != nil || b.Len() != n {
			t.Fatalf("header of a pad of %d: %v, %v", n, b, err)
		}
	}
}
