package bench

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// step does a little work, at least some microseconds of it, and says how much.
type step func() (ops, bytes int64, err error)

// timed calls f until d has passed. The sample's figure is bytes per second, or operations where no bytes are counted.
func timed(ctx context.Context, d time.Duration, f step) (sample, error) {
	return together(ctx, d, f)
}

// together runs each step on a goroutine of its own until d has passed and adds them up.
func together(ctx context.Context, d time.Duration, steps ...step) (sample, error) {
	var (
		s    sample
		mu   sync.Mutex
		wg   sync.WaitGroup
		fail error
		m0   runtime.MemStats
		m1   runtime.MemStats
	)
	runtime.ReadMemStats(&m0)
	cpu0, start := processCPU(), time.Now()
	for _, f := range steps {
		wg.Go(func() {
			ops, bytes, err := repeat(ctx, start.Add(d), f)
			mu.Lock()
			defer mu.Unlock()
			s.ops += ops
			s.bytes += bytes
			if fail == nil {
				fail = err
			}
		})
	}
	wg.Wait()
	s.wall, s.cpu = time.Since(start), processCPU()-cpu0
	runtime.ReadMemStats(&m1)
	s.allocs = m1.Mallocs - m0.Mallocs
	s.figure = float64(s.bytes) / s.wall.Seconds()
	if s.bytes == 0 {
		s.figure = float64(s.ops) / s.wall.Seconds()
	}
	return s, fail
}

func repeat(ctx context.Context, until time.Time, f step) (ops, bytes int64, err error) {
	for ctx.Err() == nil {
		n, b, err := f()
		ops, bytes = ops+n, bytes+b
		if err != nil {
			return ops, bytes, err
		}
		if time.Now().After(until) {
			return ops, bytes, nil
		}
	}
	return ops, bytes, ctx.Err()
}

// perByte is the CPU time of one byte, for sums of probes.
func (s sample) perByte() float64 { return float64(s.cpu) / float64(s.bytes) }

// sumOf is the speed, in bytes per second, of a machine that must do all parts for each byte on its cores and can do
// nothing else: the ceiling that a component made of these parts is held against.
func sumOf(parts ...sample) sample {
	var ns float64
	var out sample
	for _, p := range parts {
		ns += p.perByte()
		out.wall += p.wall
		out.cpu += p.cpu
	}
	out.figure = float64(runtime.NumCPU()) / ns * 1e9
	return out
}
