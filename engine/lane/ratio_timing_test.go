package lane

import (
	"fmt"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/vfs"
)

// BenchmarkAppendRatio measures appends and copies of the same frames in short alternating slices, so that a machine that
// is now fast and now slow is so for both, and reports the quotient of the median speeds, copy = 1.
func BenchmarkAppendRatio(b *testing.B) {
	for _, kind := range []AppenderKind{AppenderMutex, AppenderLockFree} {
		name := map[AppenderKind]string{AppenderMutex: "mutex", AppenderLockFree: "lockfree"}[kind]
		for _, size := range frameSizes() {
			for _, producers := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/%d/%dp", name, size, producers), func(b *testing.B) {
					benchmarkRatio(b, kind, size, producers)
				})
			}
		}
	}
}

func benchmarkRatio(b *testing.B, kind AppenderKind, size, producers int) {
	const slice = 1 << 20 // bytes: long enough to time, short enough to be undisturbed now and then
	l := open(b, Options{Appender: kind})
	src := frame(b, size)
	r, err := newRing(DefaultRingSize)
	if err != nil {
		b.Fatal(err)
	}
	defer unmapRing(r.mem)
	n := slice / size / producers
	at := make([]int, producers)
	timed := func(f func(p int)) float64 {
		begun := time.Now()
		var wg sync.WaitGroup
		for p := range producers - 1 {
			wg.Go(func() { f(p + 1) })
		}
		f(0)
		wg.Wait()
		return float64(time.Since(begun).Nanoseconds())
	}
	var copies, appends []float64
	b.SetBytes(slice)
	for range b.N {
		copies = append(copies, timed(func(p int) {
			part := len(r.mem) / producers
			mem, o := r.mem[p*part:(p+1)*part], at[p]
			for range n {
				if o+size > part {
					o = 0
				}
				copy(mem[o:o+size], src)
				o += size
			}
			at[p] = o
		}))
		appends = append(appends, timed(func(p int) { appendN(b, l, uint32(p), src, n) }))
	}
	slices.Sort(copies)
	slices.Sort(appends)
	per := func(list []float64, q int) float64 { return list[len(list)*q/100] / float64(n*producers) }
	b.ReportMetric(per(copies, 50)/per(appends, 50), "ratio")
	b.ReportMetric(per(copies, 5)/per(appends, 5), "ratio-p5")
	b.ReportMetric(per(appends, 5), "append-ns")
	b.ReportMetric(per(copies, 5), "copy-ns")
}

// BenchmarkOSRatio does for LevelOS what BenchmarkAppendRatio does for the ring: 64 KiB batches, waited for in the end,
// against write(2) of 1 MiB to a preallocated file, both to as many new files. The probe writes from memory of the ring's
// size, as the lane has to: from one buffer that stays in the cache, write is half as fast again.
func BenchmarkOSRatio(b *testing.B) {
	const slice, size, segment = 32 << 20, 64 << 10, 256 << 20
	fsys := vfs.OS()
	dir := b.TempDir()
	l := open(b, Options{FS: fsys, Dir: path.Join(dir, "lane"), SegmentSize: segment})
	src := frame(b, size)
	r, err := newRing(DefaultRingSize)
	if err != nil {
		b.Fatal(err)
	}
	defer unmapRing(r.mem)
	const group = 1 << 20
	var f vfs.File
	at := int64(segment)
	var writes, appends []float64
	b.SetBytes(slice)
	for range b.N {
		if at == segment {
			if f != nil {
				_ = f.Close()
				_ = fsys.Remove(path.Join(dir, "probe"))
			}
			if f, err = fsys.Create(path.Join(dir, "probe")); err != nil {
				b.Fatal(err)
			}
			if err = f.Preallocate(segment); err != nil {
				b.Fatal(err)
			}
			at = 0
		}
		begun := time.Now()
		for range slice / group {
			if _, err := f.WriteAt(r.at(uint64(at), group), at); err != nil {
				b.Fatal(err)
			}
			at += group
		}
		writes = append(writes, float64(time.Since(begun).Nanoseconds()))
		begun = time.Now()
		var end uint64
		for range slice / size {
			end = mustAppend(b, l, 0, src).End
		}
		mustWait(b, l, end, LevelOS)
		appends = append(appends, float64(time.Since(begun).Nanoseconds()))
		if err := l.Trim(end - 2*segment); err != nil {
			b.Fatal(err)
		}
	}
	_ = f.Close()
	slices.Sort(writes)
	slices.Sort(appends)
	for name, q := range map[string]int{"ratio": 50, "ratio-p10": 10} {
		b.ReportMetric(writes[len(writes)*q/100]/appends[len(appends)*q/100], name)
	}
	b.ReportMetric(slice/writes[len(writes)/10], "write-GB/s")
	b.ReportMetric(slice/appends[len(appends)/10], "append-GB/s")
}
