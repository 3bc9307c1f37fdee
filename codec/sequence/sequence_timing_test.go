package sequence

import (
	"math/big"
	"testing"
)

func BenchmarkAppend(b *testing.B) {
	n := Number{1_700_000_000, 17, 123_456_789_012, 1_700_000_100}
	dst := make([]byte, 0, Digits)
	b.SetBytes(Digits)
	b.ReportAllocs()
	for b.Loop() {
		n.Position++
		dst = Append(dst[:0], n)
	}
}

func BenchmarkParse(b *testing.B) {
	s := Number{1_700_000_000, 17, 123_456_789_012, 1_700_000_100}.String()
	b.SetBytes(Digits)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBig is what both are measured against.
func BenchmarkBig(b *testing.B) {
	v, _ := new(big.Int).SetString(Start(1_700_000_000, 17).String(), 10)
	dst := make([]byte, 0, Digits)
	b.SetBytes(Digits)
	b.ReportAllocs()
	for b.Loop() {
		dst = v.Append(dst[:0], 10)
	}
}
