package main

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// ledger is what the demo knows about one path: what was sent when, what was acknowledged, what came back. Lines are
// told apart by their partition key and their place among the lines of that key, so that any of lost, doubled, changed
// or reordered records shows.
type ledger struct {
	lines []logLine
	start time.Time
	ofKey map[string]*keyTrack

	sentAt  []atomic.Int64 // nanoseconds after start; written by the one producer of the line
	acked   []atomic.Bool
	unacked atomic.Int64 // lines without an acknowledgement yet
	lastAck atomic.Int64

	mu       sync.Mutex // guards the following
	ackTook  *hdrhistogram.Histogram
	readTook *hdrhistogram.Histogram
	received []bool
	lastRead int64
	missing  int // acknowledged or to be, and not received
	faults   faults
	complete chan struct{} // closed when every line has been received
}

// keyTrack is the lines of one key in order, and which is to be received next.
type keyTrack struct {
	lines []int32
	next  int
}

// faults counts what must not happen.
type faults struct {
	Lost       int `json:"lost"`       // acknowledged, and never came back
	Duplicates int `json:"duplicates"` // came back again
	Disorder   int `json:"disorder"`   // came back after a later one of the same key
	Foreign    int `json:"foreign"`    // nobody sent this
}

func (f faults) any() bool { return f != faults{} }

func (f faults) String() string {
	return fmt.Sprintf("lost=%d duplicates=%d disorder=%d foreign=%d", f.Lost, f.Duplicates, f.Disorder, f.Foreign)
}

const (
	latencyLowest  = int64(100)             // ns
	latencyHighest = int64(2 * time.Minute) // ns
	latencyDigits  = 3
)

func newLedger(lines []logLine) *ledger {
	l := &ledger{
		lines: lines, start: time.Now(), ofKey: map[string]*keyTrack{},
		sentAt: make([]atomic.Int64, len(lines)), acked: make([]atomic.Bool, len(lines)),
		received: make([]bool, len(lines)), missing: len(lines), complete: make(chan struct{}),
		ackTook:  hdrhistogram.New(latencyLowest, latencyHighest, latencyDigits),
		readTook: hdrhistogram.New(latencyLowest, latencyHighest, latencyDigits),
	}
	l.unacked.Store(int64(len(lines)))
	for i := range lines {
		t := l.ofKey[lines[i].key]
		if t == nil {
			t = &keyTrack{}
			l.ofKey[lines[i].key] = t
		}
		t.lines = append(t.lines, int32(i))
	}
	if len(lines) == 0 {
		close(l.complete)
	}
	return l
}

func (l *ledger) now() int64 { return int64(time.Since(l.start)) }

// sent notes that line i is about to be sent.
func (l *ledger) sent(i int) { l.sentAt[i].Store(l.now()) }

// ack notes that the server has line i.
func (l *ledger) ack(i int) {
	now := l.now()
	l.acked[i].Store(true)
	l.unacked.Add(-1)
	for {
		last := l.lastAck.Load()
		if now <= last || l.lastAck.CompareAndSwap(last, now) {
			break
		}
	}
	l.mu.Lock()
	record(l.ackTook, now-l.sentAt[i].Load())
	l.mu.Unlock()
}

// record clamps, so that a value beyond the range shows as the largest instead of not at all.
func record(h *hdrhistogram.Histogram, ns int64) {
	_ = h.RecordValue(min(max(ns, latencyLowest), latencyHighest)) // in range by the line itself
}

// receive books a record that came back. It may be called by one goroutine per shard; all records of a key are in one
// shard at a time.
func (l *ledger) receive(key, data []byte) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.ofKey[string(key)]
	if t == nil {
		l.faults.Foreign++
		return
	}
	i := l.place(t, data)
	if i < 0 {
		return
	}
	l.received[i] = true
	l.lastRead = now
	record(l.readTook, now-l.sentAt[i].Load())
	if l.missing--; l.missing == 0 {
		close(l.complete)
	}
}

// place finds out which line of a key has come back: -1 for one that must not have.
func (l *ledger) place(t *keyTrack, data []byte) int32 {
	for j := t.next; j < len(t.lines); j++ {
		if bytes.Equal(l.lines[t.lines[j]].data, data) {
			t.next = j + 1 // those in between are late, or lost
			return t.lines[j]
		}
	}
	known := false
	for _, i := range t.lines[:t.next] {
		if !bytes.Equal(l.lines[i].data, data) {
			continue
		}
		if !l.received[i] {
			l.faults.Disorder++
			return i
		}
		known = true
	}
	if known {
		l.faults.Duplicates++
	} else {
		l.faults.Foreign++
	}
	return -1
}

// verdict counts what is lost, and returns all faults. Call it when nothing more will come.
func (l *ledger) verdict() faults {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.faults
	for i := range l.lines {
		if l.acked[i].Load() && !l.received[i] {
			f.Lost++
		}
	}
	return f
}

// pathResult is a row of the demo's table.
type pathResult struct {
	Path    string  `json:"path"`
	Records int64   `json:"records"`
	Seconds float64 `json:"seconds"`
	PerSec  float64 `json:"records_per_second"`
	MBPerS  float64 `json:"megabytes_per_second"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	P999    float64 `json:"p999_us"`
	Max     float64 `json:"max_us"`
}

// results makes the rows of writing and reading.
func (l *ledger) results(name string) (put, tail pathResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ackedBytes, readBytes, acked, read int64
	for i := range l.lines {
		size := int64(len(l.lines[i].data))
		if l.acked[i].Load() {
			acked, ackedBytes = acked+1, ackedBytes+size
		}
		if l.received[i] {
			read, readBytes = read+1, readBytes+size
		}
	}
	return newPathResult(name+" put", acked, ackedBytes, l.lastAck.Load(), l.ackTook),
		newPathResult(name+" tail", read, readBytes, l.lastRead, l.readTook)
}

func newPathResult(name string, records, size, ns int64, h *hdrhistogram.Histogram) pathResult {
	r := pathResult{
		Path: name, Records: records, Seconds: time.Duration(ns).Seconds(), P50: micros(h.ValueAtQuantile(50)),
		P99: micros(h.ValueAtQuantile(99)), P999: micros(h.ValueAtQuantile(99.9)), Max: micros(h.Max()),
	}
	if ns > 0 {
		r.PerSec, r.MBPerS = float64(records)/r.Seconds, float64(size)/1e6/r.Seconds
	}
	return r
}

func micros(ns int64) float64 { return float64(ns) / 1e3 }
