package hashkey

import "testing"

func BenchmarkOf(b *testing.B) {
	key := []byte("partition-key-000017")
	for _, r := range []struct {
		name string
		Routing
	}{{"md5", MD5}, {"xxh64", XXH64}} {
		b.Run(r.name, func(b *testing.B) {
			b.SetBytes(int64(len(key)))
			b.ReportAllocs()
			for b.Loop() {
				_ = r.Of(key)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	s := Max().String()
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Parse(s)
	}
}

func BenchmarkAppendText(b *testing.B) {
	dst := make([]byte, 0, maxDigits)
	b.SetBytes(maxDigits)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = Max().AppendText(dst[:0])
	}
}
