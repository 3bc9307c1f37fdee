package loadgen

import (
	"context"
	"fmt"
	"time"
)

// Interval is one second of the measurement, or what was left of it at the end.
type Interval struct {
	At               float64 `json:"at"`      // seconds since the measurement began, at the interval's start
	Seconds          float64 `json:"seconds"` // its length
	Records          int64   `json:"records"` // acknowledged
	Bytes            int64   `json:"bytes"`
	Requests         int64   `json:"requests"`
	Errors           int64   `json:"errors"`
	RecordsPerSecond float64 `json:"records_per_second"`
	BytesPerSecond   float64 `json:"bytes_per_second"`
	P50Micros        int64   `json:"p50_us"` // of the response
	P99Micros        int64   `json:"p99_us"`
	MaxMicros        int64   `json:"max_us"`
}

const (
	// failAfter is how many seconds of nothing but errors make a target failed.
	failAfter = 3
	// shortest is the shortest interval that is reported on its own, in seconds.
	shortest = 0.05
)

// collector empties the recorders once a second and keeps the totals. One goroutine at a time.
type collector struct {
	r         *run
	spares    map[shape]histograms // what a recorder gets in exchange; one set for all of a shape, in turn
	interval  histograms
	total     histograms
	totals    tally
	log       *intervalLog
	intervals []Interval
	last      int64 // when the recorders were last emptied
	refused   int   // seconds in a row with errors only
	answered  int64 // when there last was an answer, or nothing to wait for
	started   bool  // the measurement has begun
	before    usage // of this process when it did
	used      *GeneratorUse
	server    *ServerUse
}

func newCollector(r *run) *collector {
	var all shape
	spares := make(map[shape]histograms)
	for _, rec := range r.recorders {
		for op, yes := range rec.measured {
			all[op] = all[op] || yes
		}
		if _, made := spares[rec.measured]; !made {
			spares[rec.measured] = newHistograms(rec.measured)
		}
	}
	return &collector{r: r, spares: spares, interval: newHistograms(all), total: newHistograms(all)}
}

// start says that the moments of the run are known and the workers are about to begin.
func (k *collector) start() {
	k.log = newIntervalLog(k.r.clock.start.Add(time.Duration(k.r.when.measure)))
	k.last, k.answered = k.r.when.measure, k.r.clock.now()
}

// watch collects once a second until ctx is done. An error means that the target failed.
func (k *collector) watch(ctx context.Context) error {
	next := k.r.clock.now()
	if k.r.c.Warmup > 0 {
		next += int64(k.r.c.Warmup) % int64(time.Second) // whole seconds before the measurement begins
	}
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		t.Reset(time.Duration(max(0, next-k.r.clock.now())))
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if !k.started && next >= k.r.when.measure {
			k.started = true
			k.before = readUsage(k.r.c.ServerPID)
			k.last = k.r.clock.now()
		} else {
			if err := k.tick(k.started); err != nil {
				return err
			}
		}
		if k.used == nil && next >= k.r.when.end {
			k.use()
		}
		next += int64(time.Second)
		if k.used == nil && next > k.r.when.end && k.started {
			next = k.r.when.end // the measurement ends between two seconds
		}
	}
}

// use notes what the measurement took.
func (k *collector) use() {
	k.used, k.server = k.before.since(readUsage(k.r.c.ServerPID))
}

// tick closes an interval.
func (k *collector) tick(measuring bool) error {
	now := k.r.clock.now()
	t := k.collect()
	if measuring {
		k.keep(t, now)
	}
	return k.judge(t, now)
}

// collect empties every recorder into the interval and the totals.
func (k *collector) collect() tally {
	var t tally
	for _, rec := range k.r.recorders {
		k.spares[rec.measured] = rec.take(&k.interval, &t, k.spares[rec.measured])
	}
	k.totals.add(t)
	return t
}

// keep makes an interval of what was collected since the last.
func (k *collector) keep(t tally, now int64) {
	from := k.last
	k.last = now
	h := k.interval[opService]
	if k.interval[opResponse] != nil {
		h = k.interval[opResponse]
	}
	i := Interval{
		At: float64(from-k.r.when.measure) / 1e9, Seconds: float64(now-from) / 1e9,
		Records: t.records, Bytes: t.bytes, Requests: t.requests, Errors: t.errors,
		P50Micros: h.ValueAtPercentile(50), P99Micros: h.ValueAtPercentile(99), MaxMicros: h.Max(),
	}
	i.At = max(0, i.At)
	// What lies behind the end is waiting for the last replies, not measurement.
	if counted := float64(min(now, k.r.when.end)-from) / 1e9; counted > shortest {
		i.RecordsPerSecond, i.BytesPerSecond = float64(t.records)/counted, float64(t.bytes)/counted
	}
	k.log.add(&k.interval, k.r.clock.start.Add(time.Duration(from)), k.r.clock.start.Add(time.Duration(now)))
	k.total.merge(&k.interval)
	k.interval.reset()
	if n := len(k.intervals); n > 0 && float64(k.r.when.end-from)/1e9 < shortest {
		k.intervals[n-1].fold(i) // late replies: not a second of their own with a rate of zero
		return
	}
	k.intervals = append(k.intervals, i)
	if k.r.c.Progress != nil {
		k.r.c.Progress(i)
	}
}

// fold adds what came after the measured time to its last interval, whose rates stay.
func (i *Interval) fold(late Interval) {
	i.Records += late.Records
	i.Bytes += late.Bytes
	i.Requests += late.Requests
	i.Errors += late.Errors
	i.MaxMicros = max(i.MaxMicros, late.MaxMicros)
}

// judge tells whether the target is still alive.
func (k *collector) judge(t tally, now int64) error {
	if t.acks > 0 || t.errors > 0 || !k.inFlight() {
		k.answered = now
	}
	switch {
	case t.acks > 0:
		k.refused = 0
	case t.errors > 0:
		k.refused++
	}
	if k.refused >= failAfter {
		return fmt.Errorf("%w: nothing but errors for %d s: %v", ErrTargetFailed, k.refused, t.kinds)
	}
	if silent := time.Duration(now - k.answered); silent > k.r.c.Timeout {
		return fmt.Errorf("%w: no answer for %v", ErrTargetFailed, silent.Round(time.Second/10))
	}
	return nil
}

func (k *collector) inFlight() bool {
	for _, w := range k.r.workers {
		if w.inFlight() > 0 {
			return true
		}
	}
	return false
}

// finish collects what came after the last second. The workers and consumers have ended.
func (k *collector) finish() {
	if k.started && k.used == nil {
		k.use()
	}
	t := k.collect()
	k.keep(t, k.r.clock.now())
}
