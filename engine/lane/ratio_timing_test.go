package lane

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
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
