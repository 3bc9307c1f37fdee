package lane

import (
	"sort"
	"sync/atomic"

	"github.com/shardmill/shardmill/codec/batch"
)

// A packed extent says in 8 bytes where in its segment a batch lies: offset / 32 in 28 bits, length / 32 in 20, records in
// 16. So packed extents sort by offset. maxSegmentSize and batch.MaxLen fit.
const (
	extentRecordBits = 16
	extentLenBits    = 20
	extentLenShift   = extentRecordBits
	extentOffShift   = extentRecordBits + extentLenBits
)

func packExtent(offset uint64, length, records int) uint64 {
	return offset/batch.Align<<extentOffShift | uint64(length/batch.Align)<<extentLenShift | uint64(records)
}

func extentOffset(e uint64) uint64 { return e >> extentOffShift * batch.Align }
func extentLen(e uint64) uint64 {
	return e >> extentLenShift & (1<<extentLenBits - 1) * batch.Align
}
func extentRecords(e uint64) int { return int(e & (1<<extentRecordBits - 1)) }

// Sizes of the table that leads from a shard id to its run. Only pages that are used exist.
const (
	idsPerPage = 4096
	idPages    = 4096
)

// chunk sizes: the first of a shard is small, for the many shards with few batches; the last is what the publisher can
// clear without anyone noticing.
const (
	firstChunk = 4
	lastChunk  = 4096
)

// chunk is a piece of a run: extents in order. The publisher writes extents[n], then n. Readers load n, then read below
// it; what they read is never written again.
type chunk struct {
	n       atomic.Uint32
	extents []uint64
}

// run is one shard's batches in one segment whose index is in memory. The publisher alone writes. chunks is replaced as a
// whole when one is added; the chunk in it then already holds its first extent, so no chunk a reader finds is empty.
type run struct {
	shard       uint32
	chunks      atomic.Pointer[[]*chunk]
	last        *chunk // this and the following: of the publisher, and of the sealer once the segment is complete
	firstMicros int64
	lastMicros  int64
}

// openIndex leads to the runs of a segment that has no footer yet: two levels of atomic pointers, written by the publisher
// only. A shard that has no batch in the segment costs nothing, or 8 bytes of a page that another one needs.
type openIndex struct {
	pages [idPages]atomic.Pointer[idPage]
	runs  []*run // in order of first batch; of the publisher, and of the sealer once the segment is complete
	size  int64  // bytes, for accounting; likewise
}

type idPage [idsPerPage]atomic.Pointer[run]

// run is the shard's run, nil where it has none.
func (x *openIndex) run(shard uint32) *run {
	page := x.pages[shard/idsPerPage].Load()
	if page == nil {
		return nil
	}
	return page[shard%idsPerPage].Load()
}

// add enters one more extent of shard. Of the publisher.
func (x *openIndex) add(shard uint32, e uint64, micros int64) {
	if r := x.run(shard); r != nil {
		r.lastMicros = micros
		c := r.last
		if n := c.n.Load(); int(n) < len(c.extents) {
			c.extents[n] = e
			c.n.Store(n + 1)
			return
		}
		x.size += r.grow(e, min(len(c.extents)*4, lastChunk))
		return
	}
	x.addRun(shard, e, micros)
}

// addRun enters the first extent of a shard.
func (x *openIndex) addRun(shard uint32, e uint64, micros int64) {
	page := x.pages[shard/idsPerPage].Load()
	if page == nil {
		page = new(idPage)
		x.pages[shard/idsPerPage].Store(page)
		x.size += idsPerPage * 8
	}
	r := &run{shard: shard, firstMicros: micros, lastMicros: micros}
	x.size += r.grow(e, firstChunk) + 96
	x.runs = append(x.runs, r)
	page[shard%idsPerPage].Store(r)
}

// micros is when the first and the last batch arrived, 0 where there is none. Of the sealer.
func (x *openIndex) micros() (first, last int64) {
	for _, r := range x.runs {
		if first == 0 || r.firstMicros < first {
			first = r.firstMicros
		}
		last = max(last, r.lastMicros)
	}
	return first, last
}

// grow adds a chunk of size extents, of which e is the first, and returns the bytes that took.
func (r *run) grow(e uint64, size int) int64 {
	c := &chunk{extents: make([]uint64, size)}
	c.extents[0] = e
	c.n.Store(1)
	r.last = c
	var old []*chunk
	if p := r.chunks.Load(); p != nil {
		old = *p
	}
	// A reader goes by the length it loaded: adding to spare capacity does not touch what it sees.
	list := append(old, c) //nolint:gocritic // the publisher alone appends
	r.chunks.Store(&list)
	return int64(size)*8 + 32 + 8 + 24
}

// view returns the run's extents as they are now.
func (r *run) view() extents {
	if p := r.chunks.Load(); p != nil {
		return extents{chunks: *p}
	}
	return extents{}
}

// extents is a sequence of packed extents to walk: of an open run, or one loaded from a footer.
type extents struct {
	chunks []*chunk
	c, i   int // where the next one is
}

// seek goes to the first extent that ends after offset.
func (x *extents) seek(offset uint64) {
	// The first chunk that starts after offset; the one before it is the only one that can hold the answer, or end
	// before it.
	c := sort.Search(len(x.chunks), func(i int) bool { return extentOffset(x.chunks[i].extents[0]) > offset })
	x.c, x.i = max(c-1, 0), 0
	if c == 0 {
		return
	}
	list := x.chunks[x.c].extents[:x.chunks[x.c].n.Load()]
	x.i = sort.Search(len(list), func(i int) bool { return extentOffset(list[i])+extentLen(list[i]) > offset })
	x.settle()
}

// settle moves from the end of a chunk to the start of the next.
func (x *extents) settle() {
	for x.c < len(x.chunks) && x.i >= int(x.chunks[x.c].n.Load()) && x.c+1 < len(x.chunks) {
		x.c, x.i = x.c+1, 0
	}
}

// next returns the next extent and goes on.
func (x *extents) next() (e uint64, ok bool) {
	e, ok = x.peek()
	if ok {
		x.i++
		x.settle()
	}
	return e, ok
}

// peek returns the next extent.
func (x *extents) peek() (e uint64, ok bool) {
	if x.c >= len(x.chunks) || x.i >= int(x.chunks[x.c].n.Load()) {
		return 0, false
	}
	return x.chunks[x.c].extents[x.i], true
}

// list returns all of them, packed, appended to dst.
func (x extents) list(dst []uint64) []uint64 {
	for _, c := range x.chunks {
		dst = append(dst, c.extents[:c.n.Load()]...)
	}
	return dst
}

// publishing is the publisher's end of the index.
type publishing struct {
	seg    *segment // that holds the published watermark
	index  *openIndex
	base   uint64
	end    uint64
	micros int64 // next time to note in seg
	rolled bool  // the preparer is to be told of a new one, once the watermark is in it
}

// start begins in the segment that holds p.
func (x *publishing) start(l *Lane, p uint64) {
	x.seg = l.segs.at(p)
	x.index, x.base, x.end, x.micros = x.seg.index.Load(), x.seg.base, x.seg.end(), 0
}

// add enters the batch at p, n bytes long, into the index.
func (x *publishing) add(l *Lane, p, n uint64, records int, shard uint32, micros int64) {
	if p >= x.end {
		x.start(l, p)
		x.rolled = true
	}
	if micros >= x.micros {
		x.seg.arrived(micros)
		x.micros = micros + microsStep
	}
	x.index.add(shard, packExtent(p-x.base, int(n), records), micros)
}

// takeRolled tells, once, that the publisher has entered a new segment.
func (x *publishing) takeRolled() bool {
	if !x.rolled {
		return false // without a store: appenders share the line
	}
	x.rolled = false
	return true
}

// microsStep is by how much the last arrival time of an open segment moves: one atomic store a millisecond, not one a batch.
const microsStep = 1000

// arrived notes the arrival time of a batch of an open segment.
func (s *segment) arrived(micros int64) {
	if s.firstMicros.Load() == 0 {
		s.firstMicros.Store(micros)
	}
	s.lastMicros.Store(micros)
}

// rest is a copy of the extents from where x is to those that start below offset.
func (x *extents) rest(offset uint64) []uint64 {
	var list []uint64
	y := *x
	for e, ok := y.next(); ok && extentOffset(e) < offset; e, ok = y.next() {
		list = append(list, e)
	}
	return list
}
