package batch

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// StampFrom leaves what a copy and Stamp leave.
func TestStampFrom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		src := make([]byte, HeaderLen)
		for i := range src {
			src[i] = byte(r.Uint32())
		}
		s := Stamped{
			Position: r.Uint64() &^ 31, Key: r.Uint64(), Len: r.Uint32(), Kind: KindData, Shard: r.Uint32(),
			Micros: r.Int64(), DurableHint: r.Uint64(),
		}
		want, got := make([]byte, HeaderLen), make([]byte, HeaderLen)
		copy(want[8:], src[8:])
		Stamp(want, s)
		StampFrom(got, src, &s)
		if !bytes.Equal(got, want) {
			t.Fatalf("%+v of % x:\ngot  % x\nwant % x", s, src, got, want)
		}
	}
	src, dst := make([]byte, HeaderLen), make([]byte, HeaderLen)
	var s Stamped
	if n := testing.AllocsPerRun(100, func() { StampFrom(dst, src, &s) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkStampFrom(b *testing.B) {
	src, dst := make([]byte, HeaderLen), make([]byte, HeaderLen)
	s := Stamped{Len: 224, Kind: KindData, Shard: 7, Micros: 1e15}
	b.Run("probe", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			s.Position = uint64(i)
			copy(dst[8:], src[8:])
			Stamp(dst, s)
		}
	})
	b.Run("from", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			s.Position = uint64(i)
			StampFrom(dst, src, &s)
		}
	})
}
