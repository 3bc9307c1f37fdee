package loadgen

import (
	"bytes"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// The data of each record starts with this header, little endian:
//
//	off size field
//	  0  2  magic     'S' 'm'
//	  2  8  run       random, tells the records of this run from others in the same stream
//	 10  4  worker    the ordered sequence the record belongs to
//	 14  4  key       number of the partition key within the worker
//	 18  8  n         number of the record within the worker, from 0
//	 26  8  intended  when the schedule wanted it sent, nanoseconds since 1970
//	 34  8  sum       xxh64 of bytes [0,34) and the xxh64 of everything after the header
//	 42
//
// 42 is a multiple of 3, so that in base64 the header is exactly the first 56 characters and can be replaced without
// touching the rest. The sum of the rest is part of the sum by value: a prepared record is stamped anew by hashing 42
// bytes, however long it is.
const (
	headerLen   = 42
	offRun      = 2
	offWorker   = 10
	offKey      = 14
	offN        = 18
	offIntended = 26
	offSum      = 34
	magic0      = 'S'
	magic1      = 'm'
)

// keyLen is the length of a partition key: worker and key number in hexadecimal, "0003-0001f4".
const keyLen = 4 + 1 + 6

func appendKey(dst []byte, worker, key uint32) []byte {
	const digits = "0123456789abcdef"
	for shift := 12; shift >= 0; shift -= 4 {
		dst = append(dst, digits[worker>>shift&15])
	}
	dst = append(dst, '-')
	for shift := 20; shift >= 0; shift -= 4 {
		dst = append(dst, digits[key>>shift&15])
	}
	return dst
}

// initHeader writes the fields that stay the same however often a prepared record is sent.
func initHeader(b []byte, run uint64, worker, key uint32) {
	b[0], b[1] = magic0, magic1
	binary.LittleEndian.PutUint64(b[offRun:], run)
	binary.LittleEndian.PutUint32(b[offWorker:], worker)
	binary.LittleEndian.PutUint32(b[offKey:], key)
}

// stampHeader makes a prepared record the n-th. rest is the xxh64 of what follows the header. It does not allocate.
func stampHeader(b []byte, n uint64, intended int64, rest uint64) {
	b = b[:headerLen]
	binary.LittleEndian.PutUint64(b[offN:], n)
	binary.LittleEndian.PutUint64(b[offIntended:], uint64(intended))
	binary.LittleEndian.PutUint64(b[offSum:], rest)
	binary.LittleEndian.PutUint64(b[offSum:], xxhash.Sum64(b))
}

// sound tells whether data, at least headerLen long, is what was sent.
func sound(data []byte) bool {
	var h [headerLen]byte
	copy(h[:], data)
	binary.LittleEndian.PutUint64(h[offSum:], xxhash.Sum64(data[headerLen:]))
	return xxhash.Sum64(h[:]) == binary.LittleEndian.Uint64(data[offSum:])
}

// ledger is what is known of one worker's records: which were acknowledged and which came back.
type ledger struct {
	// sent is one more than the highest number ever handed to the target; raised before the send, so that no
	// reader sees a record beyond it.
	sent atomic.Uint64

	mu sync.Mutex // guards the following
	// acked and seen take one bit per record at worst, and nothing for runs of 65,536 that are complete.
	acked, seen bitset
	last        []uint64 // by key: one more than the highest number that came back
	duplicates  int64
	disorder    int64
}

// book is the ledgers of a run and the counts that belong to no worker. It is used concurrently.
type book struct {
	run     uint64
	workers []ledger
	foreign atomic.Int64 // records of other runs and other programs
	corrupt atomic.Int64 // records of this run whose bytes or key are not what was sent
	seen    atomic.Int64 // records of this run that came back sound, duplicates included
	acked   atomic.Int64
}

func newBook(run uint64, workers, keysPerWorker int) *book {
	b := &book{run: run, workers: make([]ledger, workers)}
	full := fullPage()
	for i := range b.workers {
		l := &b.workers[i]
		l.acked.full, l.seen.full = full, full
		l.last = make([]uint64, keysPerWorker)
	}
	return b
}

// ack notes that records [first, first+n) of a worker were acknowledged, except those whose index failed names, in
// ascending order.
func (b *book) ack(worker uint32, first uint64, n int, failed []int) {
	l := &b.workers[worker]
	l.mu.Lock()
	from := 0
	for _, f := range failed {
		l.acked.setRange(first+uint64(from), f-from)
		from = f + 1
	}
	l.acked.setRange(first+uint64(from), n-from)
	l.mu.Unlock()
	b.acked.Add(int64(n - len(failed)))
}

// checker takes the records one reader reads. Not for concurrent use; each reader has its own. Records are given
// between begin and end, during which it may hold a ledger's lock.
type checker struct {
	book     *book
	clock    *clock
	e2e      *recorder // nil: end to end is not measured
	checked  bool      // keep the ledgers
	from, to int64     // intended times, nanoseconds since 1970, that count for end to end

	now      int64   // when the present page was read, nanoseconds since 1970
	cur      *ledger // locked, nil for none
	curID    uint32
	intended int64 // of the last records, the same for all records of a request
	same     int64 // how many records in a row had it
	seen     int64
}

// begin says that a page of records has just arrived.
func (c *checker) begin() { c.now = c.clock.unixNow() }

// record checks one record. key and data are only read.
func (c *checker) record(key, data []byte) {
	if len(data) < headerLen || data[0] != magic0 || data[1] != magic1 ||
		binary.LittleEndian.Uint64(data[offRun:]) != c.book.run {
		c.book.foreign.Add(1)
		return
	}
	worker := binary.LittleEndian.Uint32(data[offWorker:])
	k := binary.LittleEndian.Uint32(data[offKey:])
	n := binary.LittleEndian.Uint64(data[offN:])
	if !sound(data) || worker >= uint32(len(c.book.workers)) || !isKey(key, worker, k) {
		c.book.corrupt.Add(1)
		return
	}
	c.seen++
	if c.e2e != nil {
		c.timed(int64(binary.LittleEndian.Uint64(data[offIntended:])))
	}
	if c.checked {
		c.note(worker, k, n)
	}
}

func (c *checker) note(worker, k uint32, n uint64) {
	if c.cur == nil || c.curID != worker {
		c.unlock()
		c.cur, c.curID = &c.book.workers[worker], worker
		c.cur.mu.Lock()
	}
	l := c.cur
	switch {
	case n >= l.sent.Load() || k >= uint32(len(l.last)):
		c.book.corrupt.Add(1) // a number that was never given out
	case !l.seen.set(n):
		l.duplicates++
	case n < l.last[k]:
		l.disorder++
	default:
		l.last[k] = n + 1
	}
}

// timed records end to end. Records of one request share their intended time, so that most cost a comparison.
func (c *checker) timed(intended int64) {
	if intended != c.intended {
		c.flushTimes()
		c.intended = intended
	}
	c.same++
}

func (c *checker) flushTimes() {
	if c.same > 0 && c.intended >= c.from && c.intended < c.to {
		c.e2e.endToEnd(c.now-c.intended, c.same)
	}
	c.same = 0
}

// end ends a page.
func (c *checker) end() {
	if c.e2e != nil {
		c.flushTimes()
	}
	c.unlock()
	c.book.seen.Add(c.seen)
	c.seen = 0
}

func (c *checker) unlock() {
	if c.cur != nil {
		c.cur.mu.Unlock()
		c.cur = nil
	}
}

func isKey(key []byte, worker, k uint32) bool {
	var want [keyLen]byte
	return bytes.Equal(key, appendKey(want[:0], worker, k))
}

// Integrity is what became of the records of a run.
type Integrity struct {
	Lost           int64 // acknowledged, never came back
	Duplicates     int64 // came back again
	Disorder       int64 // came back after a later record of the same partition key
	Gaps           int64 // runs of missing numbers with a later number of the same worker present, acknowledged or not
	Corrupt        int64 // came back with other bytes, another key or a number never sent
	Foreign        int64 // other programs' and other runs' records met while reading
	Unacknowledged int64 // came back although never acknowledged: an error whose record made it all the same
}

// violated tells whether the target broke a promise. Gaps without loss, foreign and unacknowledged records break none.
func (i *Integrity) violated() bool {
	return i.Lost != 0 || i.Duplicates != 0 || i.Disorder != 0 || i.Corrupt != 0
}

// outcome sums up the ledgers.
func (b *book) outcome() Integrity {
	out := Integrity{Foreign: b.foreign.Load(), Corrupt: b.corrupt.Load()}
	for i := range b.workers {
		l := &b.workers[i]
		l.mu.Lock()
		lost, extra := l.acked.difference(&l.seen)
		out.Lost += lost
		out.Unacknowledged += extra
		out.Gaps += l.seen.gaps()
		out.Duplicates += l.duplicates
		out.Disorder += l.disorder
		l.mu.Unlock()
	}
	return out
}
