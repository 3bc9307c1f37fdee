package hashkey

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// checkMany hashes the keys in one run and one by one.
func checkMany(t *testing.T, m *Many, r Routing, keys [][]byte) {
	t.Helper()
	got := make([]Key, len(keys))
	m.Begin(r, got)
	for i := range keys { // backwards: results go where they belong, whatever the order
		m.Add(len(keys)-1-i, keys[len(keys)-1-i])
	}
	m.End()
	for i, k := range keys {
		if want := r.Of(k); got[i] != want {
			t.Fatalf("routing %d, key %d of %d, %q: %v, want %v", r, i, len(keys), k, got[i], want)
		}
	}
}

func TestMany(t *testing.T) {
	var m Many // one for all, so that what a run leaves behind meets the next
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		k := make([]byte, n)
		for i := range k {
			k[i] = byte(rnd.Uint32())
		}
		return k
	}
	for length := range 140 {
		for _, n := range []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 25, 33} {
			keys := make([][]byte, n)
			for i := range keys {
				keys[i] = random(length)
			}
			checkMany(t, &m, MD5, keys)
			checkMany(t, &m, XXH64, keys)
		}
	}
	for range 300 {
		keys := make([][]byte, rnd.IntN(40))
		for i := range keys {
			keys[i] = random(rnd.IntN(80))
		}
		checkMany(t, &m, MD5, keys)
	}
}

func FuzzMany(f *testing.F) {
	f.Add([]byte("a,b,c,d,e,f,g,h,i"), byte(','))
	f.Add(bytes.Repeat([]byte("0123456789abcdef,"), 20), byte('8'))
	f.Fuzz(func(t *testing.T, text []byte, cut byte) {
		checkMany(t, new(Many), MD5, bytes.Split(text, []byte{cut}))
	})
}

func TestManyAllocatesNothing(t *testing.T) {
	var m Many
	out := make([]Key, 20)
	key := []byte("partition key")
	if n := testing.AllocsPerRun(100, func() {
		m.Begin(MD5, out)
		for i := range out {
			m.Add(i, key)
		}
		m.End()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMany(b *testing.B) {
	for _, length := range []int{9, 20, 36, 55} {
		b.Run(fmt.Sprintf("key=%d", length), func(b *testing.B) {
			var m Many
			out := make([]Key, 500)
			keys := make([][]byte, len(out))
			for i := range keys {
				keys[i] = fmt.Appendf(nil, "%0*d", length, i)
			}
			b.ReportAllocs()
			for b.Loop() {
				m.Begin(MD5, out)
				for i, k := range keys {
					m.Add(i, k)
				}
				m.End()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(out)), "ns/key")
		})
	}
}

func BenchmarkOneByOne(b *testing.B) {
	key := []byte("partition-key-000001")
	b.ReportAllocs()
	for b.Loop() {
		MD5.Of(key)
	}
}
