package batch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// paired measures ours against a probe: short runs of both by turns, so that what else the machine does hits both alike.
// It reports the median of probe time over our time (1 is as fast as the probe), and our time per operation and per
// record. Both functions do one operation a call, on size bytes.
func paired(b *testing.B, size, records int, probe, ours func(n int)) {
	b.Helper()
	const run = 500 * time.Microsecond
	n := 1
	for {
		t := time.Now()
		ours(n)
		if d := time.Since(t); d > run || n > 1<<24 {
			break
		}
		n *= 2
	}
	probe(n)
	timed := func(f func(int)) float64 {
		t := time.Now()
		f(n)
		return float64(time.Since(t))
	}
	var ratios, times, probes []float64
	b.ReportAllocs()
	b.SetBytes(int64(2 * n * size))
	for b.Loop() {
		p1, o1 := timed(probe), timed(ours)
		o2, p2 := timed(ours), timed(probe)
		ratios = append(ratios, (p1+p2)/(o1+o2))
		times = append(times, (o1+o2)/2/float64(n))
		probes = append(probes, (p1+p2)/2/float64(n))
	}
	slices.Sort(ratios)
	slices.Sort(times)
	slices.Sort(probes)
	mid := len(times) / 2
	b.ReportMetric(ratios[mid], "of-probe")
	b.ReportMetric(times[mid]/float64(records), "ns/record")
	b.ReportMetric(float64(size)/times[mid], "GB/s")
	b.ReportMetric(float64(size)/probes[mid], "probe-GB/s")
}

// payload is records of size bytes each, cut from one slab much larger than the processor's own caches.
func payload(size, total int) [][]byte {
	slab := make([]byte, total)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range slab {
		slab[i] = byte(r.Uint32())
	}
	var out [][]byte
	for ; len(slab) >= size; slab = slab[size:] {
		out = append(out, slab[:size])
	}
	return out
}

// logLines is n lines that compress about as well as a web log does.
func logLines(n int) [][]byte {
	r := rand.New(rand.NewPCG(3, 4))
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, `83.149.%d.%d - - [17/May/2015:10:%02d:%02d +0000] "GET /presentations/item-%d/kibana-%d.png HTTP/1.1" 200 %d "-" "Mozilla/5.0 (X11; Linux x86_64)"`,
			r.IntN(256), r.IntN(256), r.IntN(60), r.IntN(60), r.IntN(50), r.IntN(1000), r.IntN(300000))
	}
	return out
}

const benchBatch = 64 << 10

// BenchmarkEncodeRaw is building a 64 KiB batch, sum and all, against copying the same bytes in one piece to where they
// are not in the processor's own caches: the next slot of a 64 MiB ring. "own" is one builder that reuses its buffer and
// records that have just been made, as producers do. In "cold" nothing is in the caches, neither the records nor the
// buffer: 512 builders take turns. There the sum alone, which reads everything once, is three quarters of the probe.
func BenchmarkEncodeRaw(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprintf("own/%d", size), func(b *testing.B) { encodeRaw(b, size, 1<<20, 1) })
		b.Run(fmt.Sprintf("cold/%d", size), func(b *testing.B) { encodeRaw(b, size, 32<<20, 512) })
	}
}

func encodeRaw(b *testing.B, size, slab, builders int) {
	recs := payload(size, slab)
	per := (benchBatch - HeaderLen) / (size + recordPrefix + 4 + endLen)
	key := []byte("key1")
	ws := make([]Builder, builders)
	ring := make([]byte, 64<<20)
	clear(ring[1:]) // the pages must be there
	at, turn, pos := 0, 0, 0
	next := func() [][]byte {
		if at+per > len(recs) {
			at = 0
		}
		at += per
		return recs[at-per : at]
	}
	for i := range ws {
		buildBench(b, &ws[i], key, next())
	}
	paired(b, per*size, per,
		func(n int) {
			for range n {
				pos = (pos + benchBatch) % len(ring)
				copy(ring[pos:], next()[0][:per*size])
			}
		},
		func(n int) {
			for range n {
				turn = (turn + 1) % len(ws)
				buildBench(b, &ws[turn], key, next())
			}
		})
}

func buildBench(b *testing.B, w *Builder, key []byte, recs [][]byte) Batch {
	w.Reset(1, BuildOptions{})
	for _, r := range recs {
		if err := w.Append(key, r); err != nil {
			b.Fatal(err)
		}
	}
	out, err := w.Finish()
	if err != nil {
		b.Fatal(err)
	}
	return out
}

func buildLines(b *testing.B, w *Builder, o BuildOptions, lines [][]byte) Batch {
	w.Reset(1, o)
	for _, l := range lines {
		if err := w.Append(l[:12], l); err != nil {
			b.Fatal(err)
		}
	}
	out, err := w.Finish()
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// BenchmarkEncodeZstd is building a compressed batch against compressing the same block.
func BenchmarkEncodeZstd(b *testing.B) {
	lines := logLines(400)
	var raw, w Builder
	block := bytes.Clone(buildLines(b, &raw, BuildOptions{}, lines).Body())
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(256<<10),
		zstd.WithSingleSegment(true), zstd.WithEncoderCRC(false), zstd.WithEncoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	dst := e.EncodeAll(block, nil)
	o := BuildOptions{Codec: CodecZstd}
	paired(b, len(block), len(lines),
		func(n int) {
			for range n {
				dst = e.EncodeAll(block, dst[:0])
			}
		},
		func(n int) {
			for range n {
				buildLines(b, &w, o, lines)
			}
		})
	b.ReportMetric(float64(len(block))/float64(len(dst)), "x-smaller")
}

// BenchmarkDecodeZstd is decompressing and walking a batch against decompressing the same block.
func BenchmarkDecodeZstd(b *testing.B) {
	lines := logLines(400)
	var w Builder
	batch := buildLines(b, &w, BuildOptions{Codec: CodecZstd}, lines)
	if batch.Codec() != CodecZstd {
		b.Fatal("not compressed")
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 2*batch.RawLen())
	var it Iterator
	paired(b, batch.RawLen(), len(lines),
		func(n int) {
			for range n {
				if dst, err = d.DecodeAll(batch.Body(), dst[:0]); err != nil {
					b.Fatal(err)
				}
			}
		},
		func(n int) {
			for range n {
				walk(b, &it, batch)
			}
		})
}

func walk(b *testing.B, it *Iterator, batch Batch) (n int) {
	if err := it.Reset(batch); err != nil {
		b.Fatal(err)
	}
	for it.Next() {
		n += len(it.Key()) + len(it.Data())
	}
	if it.Err() != nil {
		b.Fatal(it.Err())
	}
	return n
}

// BenchmarkIterateRaw is walking a 64 KiB batch that lies in the cache; look at ns/record. The probe copies its bytes.
func BenchmarkIterateRaw(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			recs := payload(size, benchBatch)
			var w Builder
			batch := buildBench(b, &w, []byte("key1"), recs)
			dst := make([]byte, len(batch))
			var it Iterator
			paired(b, len(batch), len(recs),
				func(n int) {
					for range n {
						copy(dst, batch)
					}
				},
				func(n int) {
					for range n {
						walk(b, &it, batch)
					}
				})
		})
	}
}

// BenchmarkCheck is admission, and CheckStored recovery, against the body sum alone.
func BenchmarkCheck(b *testing.B) {
	for _, size := range []int{100, 1024} {
		recs := payload(size, benchBatch*size/(size+recordPrefix+4+endLen)-HeaderLen)
		var w Builder
		batch := buildBench(b, &w, []byte("key1"), recs)
		body := batch.Body()
		probe := func(n int) {
			for range n {
				if xxhash.Sum64(body) != batch.BodySum() {
					b.Fatal("sum")
				}
			}
		}
		b.Run(fmt.Sprintf("admission/%d", size), func(b *testing.B) {
			paired(b, len(batch), len(recs), probe, func(n int) {
				for range n {
					if _, err := Check(batch, MaxLen); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		// Why Check leaves the records in between to the Iterator: what verifying each of them would cost.
		var it Iterator
		b.Run(fmt.Sprintf("admission+records/%d", size), func(b *testing.B) {
			paired(b, len(batch), len(recs), probe, func(n int) {
				for range n {
					if _, err := Check(batch, MaxLen); err != nil {
						b.Fatal(err)
					}
					walk(b, &it, batch)
				}
			})
		})
		stored := Batch(bytes.Clone(batch))
		Stamp(stored, Stamped{Position: 4096, Key: 17, Len: uint32(len(stored)), Kind: KindData})
		putCommit(stored, CommitWord(4096, 17))
		b.Run(fmt.Sprintf("stored/%d", size), func(b *testing.B) {
			paired(b, len(batch), len(recs), probe, func(n int) {
				for range n {
					if _, err := CheckStored(stored, 4096, 17); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkStamp is what an append adds to the copy: all server fields and the header sum.
func BenchmarkStamp(b *testing.B) {
	h := make([]byte, HeaderLen)
	b.SetBytes(HeaderLen)
	b.ReportAllocs()
	s := Stamped{Position: 4096, Key: 17, Len: 64 << 10, Kind: KindData, Shard: 3, Micros: 1}
	for b.Loop() {
		s.Micros++
		Stamp(h, s)
	}
}
