package loadgen

import (
	"context"
	"fmt"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// nullSender acknowledges at once, on the caller's goroutine: what remains is the generator's own cost.
type nullSender struct {
	wire
	done completion
}

func (s *nullSender) send(_ context.Context, _ *request, tag uint64) error {
	s.done.done(tag, outcome{})
	return nil
}

func (s *nullSender) close() error { return nil }

// benchWorker is a worker on a null target.
func benchWorker(tb testing.TB, c Config) *worker {
	tb.Helper()
	c, e := complete(tb, c)
	r := &run{c: c, endpoint: e, clock: newClock(), book: newBook(1, 1, c.keysPerWorker(1))}
	r.makeRecorders(1)
	w := newWorker(r, 0, 16)
	var wr wire = wireOf(&c, 4)
	if e.Scheme != SchemeNative {
		wr = &kinesisWire{stream: "s", limit: c.BatchBytes, most: c.BatchRecords}
	}
	w.sender = &nullSender{wire: wr, done: w}
	w.when.end = 1 << 62
	var err error
	if w.pool, err = newPool(&c, 1, 0, 1, nil, wr); err != nil {
		tb.Fatal(err)
	}
	return w
}

// request does what the loop does for one request.
func (w *worker) request(ctx context.Context) {
	tag, _ := w.tag(ctx)
	now := w.clock.now()
	_ = w.send(ctx, w.pool.next(), tag, now, now)
}

func benchConfigs() []Config {
	const http = "kinesis+http://h"
	return []Config{
		{BatchRecords: 1},
		{BatchRecords: 500},
		{},
		{Size: 1024},
		{Target: http, BatchRecords: 1},
		{Target: http, BatchRecords: 500},
	}
}

// BenchmarkRequest is the generator's cost of a request: stamping, sums, bookkeeping, histograms; no target.
func BenchmarkRequest(b *testing.B) {
	for _, c := range benchConfigs() {
		w := benchWorker(b, c)
		r := w.pool.requests[0]
		e, _ := ParseTarget(w.c.Target)
		b.Run(fmt.Sprintf("%s/%dx%d", e.Scheme, len(r.marks), w.c.Size), func(b *testing.B) {
			b.SetBytes(int64(r.bytes))
			b.ReportAllocs()
			for b.Loop() {
				w.request(b.Context())
			}
			b.ReportMetric(float64(len(r.marks))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrec/s")
		})
	}
}

// BenchmarkCheck is the reader's cost of a record.
func BenchmarkCheck(b *testing.B) {
	book := newBook(1, 1, 1)
	book.workers[0].sent.Store(1 << 40)
	c := checker{book: book, clock: newClock(), checked: true, e2e: newRecorder(shape{opEndToEnd: true}), to: 1 << 62}
	key, data := record(1, 0, 0, 0, 5, string(make([]byte, 58)))
	rest := xxhash.Sum64(data[headerLen:])
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	c.begin()
	i := uint64(0)
	for b.Loop() {
		stampHeader(data, i, 5, rest)
		c.record(key, data)
		if i++; i%500 == 0 {
			c.end()
			c.begin()
		}
	}
	c.end()
	if book.corrupt.Load() != 0 || book.workers[0].duplicates != 0 {
		b.Fatal("the benchmark checks the wrong thing")
	}
}

func TestRequestsDoNotAllocate(t *testing.T) {
	for _, c := range benchConfigs() {
		w := benchWorker(t, c)
		ctx := t.Context()
		for range 100 {
			w.request(ctx)
		}
		if n := testing.AllocsPerRun(200, func() { w.request(ctx) }); n != 0 {
			t.Errorf("%s, %d records: %v allocations per request", w.c.Target, len(w.pool.requests[0].marks), n)
		}
		if w.rec.t.acks == 0 || w.rec.h[opService].TotalCount() == 0 {
			t.Error("nothing was recorded")
		}
	}
}
