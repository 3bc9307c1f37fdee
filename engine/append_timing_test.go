package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/hashkey"
)

func benchRecords(n, size int) []Record {
	recs := make([]Record, n)
	for i := range recs {
		recs[i] = Record{Key: fmt.Appendf(nil, "key-%06d", i*7919%100000), Data: payload(i, size)}
	}
	return recs
}

// payload is text that zstd makes a third of, as it does with logs.
func payload(i, size int) []byte {
	b := make([]byte, 0, size+64)
	for n := uint64(i + 1); len(b) < size; n = n*6364136223846793005 + 1442695040888963407 {
		b = fmt.Appendf(b, "10.%d.%d.7 GET /item/%d HTTP/1.1 200 ", n>>60, n>>56&255, n>>40)
	}
	return b[:size]
}

// forget empties the cache.
func (c *bodyCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.old != nil {
		victim := c.old
		c.unlinkLocked(victim)
		delete(c.bodies, victim.position)
		c.size -= victim.size
		victim.release()
	}
}

func memoryEngine(b *testing.B, ring int) *Engine {
	b.Helper()
	return openTest(b, Options{RingSize: ring})
}

func BenchmarkAppend(b *testing.B) {
	f := func(n, size, shards int, routing hashkey.Routing) {
		b.Run(fmt.Sprintf("%dx%d/shards=%d/routing=%d", n, size, shards, routing), func(b *testing.B) {
			e := memoryEngine(b, 64<<20)
			s := createWith(b, e, CreateStream{Name: Name{Stream: "s"}, Shards: shards, Routing: routing})
			recs, out := benchRecords(n, size), make([]Appended, n)
			b.SetBytes(int64(n * size))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Append(context.Background(), recs, LevelMem, out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
		})
	}
	f(500, 100, 1, hashkey.MD5)
	f(500, 100, 4, hashkey.MD5)
	f(500, 100, 4, hashkey.XXH64)
	f(500, 100, 1000, hashkey.XXH64)
	f(500, 1024, 4, hashkey.MD5)
	f(1, 100, 4, hashkey.MD5)
}

func BenchmarkAppendBatch(b *testing.B) {
	for _, records := range []int{2, 600} {
		b.Run(fmt.Sprintf("%dx100", records), func(b *testing.B) {
			e := memoryEngine(b, 64<<20)
			s := createWith(b, e, CreateStream{Name: Name{Stream: "s"}, Shards: 4})
			one := buildBatch(b, s.Info().Shards[1].ID, batch.CodecRaw, benchRecords(records, 100))
			b.SetBytes(int64(len(one)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.AppendBatch(one); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCopy is the probe for BenchmarkAppendBatch: what the bytes alone cost.
func BenchmarkCopy(b *testing.B) {
	for _, size := range []int{352, 65696} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			ring, one := make([]byte, 64<<20), make([]byte, size)
			at := 0
			b.SetBytes(int64(size))
			for b.Loop() {
				if at+size > len(ring) {
					at = 0
				}
				at += copy(ring[at:], one)
			}
		})
	}
}

func BenchmarkRecords(b *testing.B) {
	f := func(name string, size int, codec batch.Codec, cold bool) {
		b.Run(name, func(b *testing.B) {
			e := memoryEngine(b, 64<<20)
			s := createTest(b, e, "s", 1)
			total := 0
			for range 20 {
				recs := benchRecords(500, size)
				total += 500 * size
				if _, err := s.AppendBatch(buildBatch(b, s.Info().Shards[0].ID, codec, recs)); err != nil {
					b.Fatal(err)
				}
			}
			token, err := s.Iterator("0", TrimHorizon, "", nil)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(total))
			b.ReportAllocs()
			for b.Loop() {
				if cold {
					e.bodies.forget()
				}
				p, err := e.Records(context.Background(), token, 0)
				if err != nil {
					b.Fatal(err)
				}
				if len(p.Records) != 20*500 {
					b.Fatal(len(p.Records))
				}
				p.Release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(20*500), "ns/record")
		})
	}
	f("raw/100", 100, batch.CodecRaw, false)
	f("raw/1024", 1024, batch.CodecRaw, false)
	f("zstd/100", 100, batch.CodecZstd, false)
	f("zstd-cold/100", 100, batch.CodecZstd, true)
}

func BenchmarkRoute(b *testing.B) {
	for _, shards := range []int{1, 16, 10000} {
		b.Run(fmt.Sprint(shards), func(b *testing.B) {
			e := memoryEngine(b, 1<<20)
			routes := createTest(b, e, "s", shards).routes.Load()
			k, sum := hashkey.Key{Hi: 1}, 0
			b.ReportAllocs()
			for b.Loop() {
				k.Hi = k.Hi*6364136223846793005 + 1442695040888963407
				sum += routes.find(k)
			}
			if shards > 1 && sum == 0 {
				b.Fatal("every key went to the first shard")
			}
		})
	}
}
