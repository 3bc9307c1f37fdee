package loadgen

import (
	"bytes"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Range and precision of every histogram: 1 us to 60 s, 3 significant digits; 140 KB each.
const (
	lowestMicros  = 1
	highestMicros = 60_000_000
	digits        = 3
)

// clock gives nanoseconds since the run's start, monotonic, and their wall-clock equivalent for record headers.
type clock struct {
	start time.Time
	unix  int64 // start, nanoseconds since 1970
}

func newClock() *clock {
	t := time.Now()
	return &clock{start: t, unix: t.UnixNano()}
}

func (c *clock) now() int64     { return int64(time.Since(c.start)) }
func (c *clock) unixNow() int64 { return c.unix + c.now() }

// operation is what a histogram measures; also its tag in the interval log.
type operation int

const (
	opResponse operation = iota
	opService
	opLag
	opEndToEnd
	operations
)

func (o operation) String() string {
	return [operations]string{"response", "service", "lag", "end_to_end"}[o]
}

// histograms is one per operation; nil where it is not measured.
type histograms [operations]*hdrhistogram.Histogram

// shape tells which operations are measured.
type shape [operations]bool

func newRecorder(measured shape) *recorder {
	return &recorder{measured: measured, h: newHistograms(measured)}
}

func newHistograms(measured shape) histograms {
	var h histograms
	for op, yes := range measured {
		if yes {
			h[op] = hdrhistogram.New(lowestMicros, highestMicros, digits)
		}
	}
	return h
}

func (h *histograms) reset() {
	for _, x := range h {
		if x != nil && x.TotalCount() != 0 {
			x.Reset()
		}
	}
}

func (h *histograms) merge(from *histograms) {
	for op, x := range from {
		if x != nil && x.TotalCount() != 0 {
			h[op].Merge(x)
		}
	}
}

// record notes n times ns, rounded up to a microsecond so that nothing looks faster than it was. It tells whether
// the value was beyond the range and had to be cut.
func (h *histograms) record(op operation, ns, n int64) (cut bool) {
	us := max(lowestMicros, (ns+999)/1000)
	if us > highestMicros {
		us, cut = highestMicros, true
	}
	if err := h[op].RecordValues(us, n); err != nil {
		panic("BUG: " + err.Error()) // the range was just enforced
	}
	return cut
}

// tally is what was counted since the last look.
type tally struct {
	records, bytes, requests int64 // acknowledged within the measured window
	acks, errors             int64 // over the whole run, warm-up included
	cut                      int64 // values beyond the range of the histograms
	kinds                    map[string]int64
}

func (t *tally) add(o tally) {
	t.records += o.records
	t.bytes += o.bytes
	t.requests += o.requests
	t.acks += o.acks
	t.errors += o.errors
	t.cut += o.cut
	for k, n := range o.kinds {
		t.kind(k, n)
	}
}

// maxKinds bounds the kinds of error told apart; the rest is "other".
const maxKinds = 64

func (t *tally) kind(k string, n int64) {
	if t.kinds == nil {
		t.kinds = make(map[string]int64)
	}
	if _, known := t.kinds[k]; !known && len(t.kinds) >= maxKinds {
		k = "other"
	}
	t.kinds[k] += n
}

// recorder takes what workers measure. It is locked once per request; the collector takes its contents once a second.
type recorder struct {
	measured shape

	mu sync.Mutex // guards the following
	h  histograms
	t  tally
}

// sample is one acknowledged request.
type sample struct {
	intended, sent, acked int64 // nanoseconds on the run's clock
	records, bytes        int
}

// acknowledged notes a request. timed: its intended time lies in the measured window; counted: its acknowledgement does.
func (r *recorder) acknowledged(s sample, timed, counted bool) {
	r.mu.Lock()
	r.t.acks++
	if counted {
		r.t.requests++
		r.t.records += int64(s.records)
		r.t.bytes += int64(s.bytes)
	}
	if timed {
		cut := r.h.record(opService, s.acked-s.sent, 1)
		if r.h[opResponse] != nil {
			cut = r.h.record(opResponse, s.acked-s.intended, 1) || cut
			cut = r.h.record(opLag, s.sent-s.intended, 1) || cut
		}
		if cut {
			r.t.cut++
		}
	}
	r.mu.Unlock()
}

// failed notes n errors of one kind: requests, or records of a request that was taken in part.
func (r *recorder) failed(kind string, n int64) {
	r.mu.Lock()
	r.t.errors += n
	r.t.kind(kind, n)
	r.mu.Unlock()
}

func (r *recorder) endToEnd(ns, n int64) {
	r.mu.Lock()
	if r.h.record(opEndToEnd, ns, n) {
		r.t.cut += n
	}
	r.mu.Unlock()
}

// take adds the recorder's contents to h and t and leaves it empty. spare, clean and of the same shape, is what it goes
// on with; what it had comes back cleaned.
func (r *recorder) take(h *histograms, t *tally, spare histograms) histograms {
	r.mu.Lock()
	had, counted := r.h, r.t
	r.h, r.t = spare, tally{}
	r.mu.Unlock()
	h.merge(&had)
	t.add(counted)
	had.reset()
	return had
}

// maxLog bounds the interval log kept in memory: some hours; later intervals are left out of the .hlog only.
const maxLog = 256 << 20

// intervalLog is the .hlog being written.
type intervalLog struct {
	buf    bytes.Buffer
	w      *hdrhistogram.HistogramLogWriter
	failed error
}

func newIntervalLog(start time.Time) *intervalLog {
	l := &intervalLog{}
	l.w = hdrhistogram.NewHistogramLogWriter(&l.buf)
	ms := start.UnixMilli()
	l.try(l.w.OutputLogFormatVersion())
	l.try(l.w.OutputComment("[values in microseconds; one tag per operation]"))
	l.try(l.w.OutputStartTime(ms))
	l.try(l.w.OutputLegend())
	return l
}

func (l *intervalLog) try(err error) {
	if l.failed == nil {
		l.failed = err
	}
}

// add appends one interval's histograms.
func (l *intervalLog) add(h *histograms, from, to time.Time) {
	if l.buf.Len() > maxLog {
		return
	}
	for op, x := range h {
		if x == nil || x.TotalCount() == 0 {
			continue
		}
		x.SetTag(operation(op).String()) // Reset forgets it
		x.SetStartTimeMs(from.UnixMilli())
		x.SetEndTimeMs(to.UnixMilli())
		opts := hdrhistogram.DefaultHistogramLogOptions()
		l.try(l.w.OutputIntervalHistogramWithLogOptions(x, opts))
	}
}
