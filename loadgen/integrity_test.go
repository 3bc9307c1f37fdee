package loadgen

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func record(run uint64, worker, key uint32, n uint64, intended int64, rest string) (k, data []byte) {
	data = append(make([]byte, headerLen), rest...)
	initHeader(data, run, worker, key)
	stampHeader(data, n, intended, xxhash.Sum64String(rest))
	return appendKey(nil, worker, key), data
}

func TestHeaderBytes(t *testing.T) {
	k, data := record(0x0102030405060708, 3, 0x1f4, 9, 0x1122334455667788, "rest")
	if string(k) != "0003-0001f4" || len(k) != keyLen {
		t.Errorf("key %q", k)
	}
	want := []byte("Sm\x08\x07\x06\x05\x04\x03\x02\x01\x03\x00\x00\x00\xf4\x01\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00" +
		"\x88\x77\x66\x55\x44\x33\x22\x11")
	if !bytes.Equal(data[:offSum], want) || !bytes.Equal(data[headerLen:], []byte("rest")) {
		t.Errorf("record % x", data)
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	const run = 42
	k, data := record(run, 0, 0, 0, 5, "something to damage")
	for bit := range 8 * len(data) {
		bad := bytes.Clone(data)
		bad[bit/8] ^= 1 << (bit % 8)
		b := newBook(run, 1, 1)
		b.workers[0].sent.Store(1)
		c := checker{book: b, clock: newClock(), checked: true}
		c.begin()
		c.record(k, bad)
		c.end()
		// Damage to magic or run id makes it somebody else's record; then it is lost.
		if b.corrupt.Load()+b.foreign.Load() != 1 || b.seen.Load() != 0 {
			t.Fatalf("bit %d: corrupt %d, foreign %d, seen %d", bit, b.corrupt.Load(), b.foreign.Load(), b.seen.Load())
		}
	}
}

func TestLedger(t *testing.T) {
	const run = 1
	type rec struct {
		worker, key uint32
		n           uint64
	}
	f := func(name string, sent uint64, acked [][2]uint64, came []rec, want Integrity) {
		t.Helper()
		b := newBook(run, 2, 4)
		for i := range b.workers {
			b.workers[i].sent.Store(sent)
		}
		for _, a := range acked {
			b.ack(0, a[0], int(a[1]-a[0]), nil)
		}
		c := checker{book: b, clock: newClock(), checked: true}
		c.begin()
		for _, r := range came {
			c.record(record(run, r.worker, r.key, r.n, 0, "x"))
		}
		c.end()
		if got := b.outcome(); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	f("nothing", 0, nil, nil, Integrity{})
	f("all", 3, [][2]uint64{{0, 3}}, []rec{{0, 0, 0}, {0, 1, 1}, {0, 0, 2}}, Integrity{})
	f("order between keys does not matter", 3, [][2]uint64{{0, 3}}, []rec{{0, 1, 1}, {0, 0, 0}, {0, 0, 2}}, Integrity{})
	f("order within a key does", 3, [][2]uint64{{0, 3}}, []rec{{0, 0, 2}, {0, 0, 0}, {0, 0, 1}}, Integrity{Disorder: 2})
	f("lost in the middle", 3, [][2]uint64{{0, 3}}, []rec{{0, 0, 0}, {0, 0, 2}}, Integrity{Lost: 1, Gaps: 1})
	f("lost at the end", 3, [][2]uint64{{0, 3}}, []rec{{0, 0, 0}}, Integrity{Lost: 2})
	f("missing but never acknowledged", 3, [][2]uint64{{0, 1}, {2, 3}}, []rec{{0, 0, 0}, {0, 0, 2}}, Integrity{Gaps: 1})
	f("never acknowledged but there", 3, [][2]uint64{{0, 1}}, []rec{{0, 0, 0}, {0, 0, 1}}, Integrity{Unacknowledged: 1})
	f("twice", 2, [][2]uint64{{0, 2}}, []rec{{0, 0, 0}, {0, 0, 1}, {0, 0, 0}, {0, 0, 0}}, Integrity{Duplicates: 2})
	f("never sent", 1, [][2]uint64{{0, 1}}, []rec{{0, 0, 0}, {0, 0, 1}, {0, 9, 0}}, Integrity{Corrupt: 2})
	f("another worker", 1, nil, []rec{{1, 0, 0}, {7, 0, 0}}, Integrity{Corrupt: 1, Unacknowledged: 1})

	b := newBook(run, 1, 1)
	b.workers[0].sent.Store(10)
	b.ack(0, 0, 10, []int{0, 4, 9})
	if got := b.outcome(); got.Lost != 7 || b.acked.Load() != 7 {
		t.Errorf("partial acknowledgement: %+v, acked %d", got, b.acked.Load())
	}
}

func TestKeyMustBelongToRecord(t *testing.T) {
	b := newBook(1, 1, 8)
	b.workers[0].sent.Store(1)
	c := checker{book: b, clock: newClock(), checked: true}
	_, data := record(1, 0, 3, 0, 0, "")
	c.begin()
	c.record(appendKey(nil, 0, 4), data)
	c.end()
	if b.corrupt.Load() != 1 {
		t.Fatal("a record under another's key went unnoticed")
	}
}

// The bitset against a map, in the patterns of acknowledgements and of reading.
func TestBitsetAgainstMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const top = 3*pageSpan + 100
	s, o := bitset{full: fullPage()}, bitset{}
	o.full = s.full
	ms, mo := make(map[uint64]bool), make(map[uint64]bool)
	for range 4000 {
		first, n := rnd.Uint64N(top), 1+rnd.IntN(200)
		s.setRange(first, n)
		for i := range n {
			ms[first+uint64(i)] = true
		}
		at := rnd.Uint64N(top)
		if fresh := o.set(at); fresh == mo[at] {
			t.Fatalf("set(%d) says new: %v", at, fresh)
		}
		mo[at] = true
	}
	count := func(a, b map[uint64]bool) (n int64) {
		for k := range a {
			if !b[k] {
				n++
			}
		}
		return n
	}
	gaps := func(m map[uint64]bool) (n int64) {
		for k := range m {
			if k > 0 && !m[k-1] {
				n++
			}
		}
		return n
	}
	onlyS, onlyO := s.difference(&o)
	if onlyS != count(ms, mo) || onlyO != count(mo, ms) {
		t.Errorf("difference %d %d, want %d %d", onlyS, onlyO, count(ms, mo), count(mo, ms))
	}
	if s.gaps() != gaps(ms) || o.gaps() != gaps(mo) {
		t.Errorf("gaps %d %d, want %d %d", s.gaps(), o.gaps(), gaps(ms), gaps(mo))
	}
}

func TestCompletePagesCostNothing(t *testing.T) {
	s := bitset{full: fullPage()}
	for first := uint64(0); first < 100*pageSpan; first += 640 {
		s.setRange(first, 640)
	}
	kept := 0
	for _, p := range s.pages {
		if p != s.full {
			kept++
		}
	}
	if kept > 1 || len(s.pages) < 100 || s.gaps() != 0 {
		t.Fatalf("%d of %d pages kept, %d gaps", kept, len(s.pages), s.gaps())
	}
	if s.set(5) || !s.set(100*pageSpan+1000) {
		t.Fatal("membership across complete pages")
	}
	allocs := testing.AllocsPerRun(100, func() { s.setRange(200*pageSpan, 600) })
	if allocs != 0 {
		t.Errorf("%v allocations per acknowledgement", allocs)
	}
}

func TestLedgerIsConcurrent(t *testing.T) {
	const run, workers, n = 1, 4, 5000
	b := newBook(run, workers, 1)
	var wg sync.WaitGroup
	for w := range uint32(workers) {
		b.workers[w].sent.Store(n)
		wg.Go(func() {
			for i := range uint64(n) {
				b.ack(w, i, 1, nil)
			}
		})
		wg.Go(func() {
			c := checker{book: b, clock: newClock(), checked: true}
			for i := range uint64(n) {
				c.begin()
				// Own and another worker's in turn: the lock moves between ledgers.
				c.record(record(run, w, 0, i, 0, ""))
				c.record(record(99, (w+1)%workers, 0, i, 0, ""))
				c.end()
			}
		})
	}
	wg.Wait()
	if got := b.outcome(); got != (Integrity{Foreign: workers * n}) || b.seen.Load() != workers*n || b.acked.Load() != workers*n {
		t.Fatalf("%+v, seen %d, acked %d", got, b.seen.Load(), b.acked.Load())
	}
}
