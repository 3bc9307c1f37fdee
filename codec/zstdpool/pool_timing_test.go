package zstdpool

import (
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func BenchmarkEncode(b *testing.B) {
	src := block(1, 64<<10)
	b.Run("pool", func(b *testing.B) {
		p := New()
		dst := p.AppendEncode(nil, src)
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			dst = p.AppendEncode(dst[:0], src)
		}
		b.ReportMetric(float64(len(src))/float64(len(dst)), "ratio")
	})
	b.Run("probe", func(b *testing.B) {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(window),
			zstd.WithSingleSegment(true), zstd.WithEncoderCRC(false), zstd.WithEncoderConcurrency(1))
		if err != nil {
			b.Fatal(err)
		}
		dst := e.EncodeAll(src, nil)
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			dst = e.EncodeAll(src, dst[:0])
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	src := block(1, 64<<10)
	packed := New().AppendEncode(nil, src)
	b.Run("pool", func(b *testing.B) {
		p := New()
		var dst []byte
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			var err error
			if dst, err = p.AppendDecode(dst[:0], packed, len(src)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("probe", func(b *testing.B) {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
		if err != nil {
			b.Fatal(err)
		}
		dst := make([]byte, 0, len(src)+slack)
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			if dst, err = d.DecodeAll(packed, dst[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkResident reports what one encoder and one decoder keep.
func BenchmarkResident(b *testing.B) {
	src := block(1, 64<<10)
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := live()
	p := New()
	packed := p.AppendEncode(nil, src)
	encoder := live()
	if _, err := p.AppendDecode(nil, packed, len(src)); err != nil {
		b.Fatal(err)
	}
	decoder := live()
	for b.Loop() {
		runtime.KeepAlive(p)
	}
	n := float64(runtime.GOMAXPROCS(0))
	b.ReportMetric(float64(encoder-before)/n/1024, "KiB/encoder")
	b.ReportMetric(float64(decoder-encoder)/n/1024, "KiB/decoder")
}
