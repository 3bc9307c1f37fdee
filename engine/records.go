package engine

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/engine/lane"
)

const (
	// MaxPageRecords and MaxPageBytes (keys and data) bound one answer of Records, as at AWS.
	MaxPageRecords = 10000
	MaxPageBytes   = 10 << 20

	// firstRead is how much of a shard is read at first; each further read of the same call takes twice as much. A call
	// with a small limit does not pay for 10 MiB.
	firstRead = 256 << 10
	// maxUnpacked bounds what the compressed batches of one page unpack to. A page of well-formed batches stays below: it
	// shows most of what it unpacks, but for the first and the last batch.
	maxUnpacked = MaxPageBytes + MaxPageBytes/2 + 2*batch.MaxLen
	// keptPage bounds the buffer that a released page leaves for the next one, in bytes.
	keptPage = 16 << 20
)

// ReadRecord is one record as a reader gets it. Key and Data alias the page's buffers.
type ReadRecord struct {
	Sequence Sequence
	Key      []byte
	Data     []byte
	Arrival  time.Time
	// Encrypted tells that the stream had a KMS key when the record was written.
	Encrypted bool
}

// Page is one answer of Records. Its owner calls Release when done with Records and what they alias.
type Page struct {
	Records      []ReadRecord
	Next         string // token; empty at the end of a closed, drained shard
	Children     []ShardInfo
	MillisBehind int64 // 0 at the tip
	mem          *pageMemory
}

// pageMemory is what a page's records lie in.
type pageMemory struct {
	pool    *pagePool
	buf     []byte // the stored batches
	raw     batch.Iterator
	packed  batch.Iterator
	bodies  []*body // decompressed batches, each held once
	records []ReadRecord
}

// pagePool keeps the memory of released pages. A sync.Pool holds no value of its own, so this is no mutable state.
type pagePool struct{ pool sync.Pool }

func (p *pagePool) get() *pageMemory {
	if m, ok := p.pool.Get().(*pageMemory); ok {
		return m
	}
	return &pageMemory{pool: p}
}

// Release gives the buffers back: Records and what they alias must not be touched any more. A second call does nothing.
func (p *Page) Release() {
	m := p.mem
	if m == nil {
		return
	}
	p.mem, p.Records = nil, nil
	m.release()
}

func (m *pageMemory) release() {
	for _, b := range m.bodies {
		b.release()
	}
	if len(m.bodies) > 0 || cap(m.buf) > keptPage {
		clear(m.records) // they must not keep alive what m does not
	}
	clear(m.bodies)
	m.bodies, m.records = m.bodies[:0], m.records[:0]
	m.packed = batch.Iterator{}
	if cap(m.buf) > keptPage {
		m.buf = nil
	}
	m.buf = m.buf[:0]
	m.pool.pool.Put(m)
}

// Records answers GetRecords for a token of any stream: up to limit records (0 or more than 10,000: 10,000), at most
// 10 MiB unless the first is larger. Expired records are passed over. At the end of a closed shard there is no next token
// but the shard's children. Errors: CodeInvalidArgument, CodeExpiredIterator, CodeNotFound, CodeInternal for damage on
// disk. Allocations do not grow with the number of records.
func (e *Engine) Records(_ context.Context, token string, limit int) (*Page, error) {
	now := time.Now()
	it, err := e.openToken(token, now)
	if err != nil {
		return nil, err
	}
	v, ok := e.names.Load(it.name)
	if !ok || v.(*Stream).id != it.stream {
		return nil, noSuchShard(it.name, it.shard)
	}
	s := v.(*Stream)
	info := s.Info()
	sh := info.Shard(it.shard)
	if sh == nil {
		return nil, noSuchShard(it.name, it.shard)
	}
	if limit <= 0 || limit > MaxPageRecords {
		limit = MaxPageRecords
	}
	m := e.pages.get()
	r := pageReader{s: s, sh: sh, level: Level(info.Durability), cut: cutoff(info, now), settings: &info.Settings,
		limit: limit, maxBytes: MaxPageBytes, m: m}
	page, err := r.page(info, it.position, now)
	if err != nil {
		m.release()
		return nil, err
	}
	return page, nil
}

// pageReader makes one page.
type pageReader struct {
	s        *Stream
	sh       *ShardInfo
	level    Level
	cut      int64 // arrivals before it have expired, microseconds
	settings *Settings
	limit    int // records
	maxBytes int // of keys and data, unless the first record is larger
	m        *pageMemory
	unpacked int // bytes of the compressed batches opened so far, as they unpack
	bytes    int
}

func (r *pageReader) page(info *StreamInfo, from uint64, now time.Time) (*Page, *Error) {
	next, more, behind, err := r.fill(from, now)
	if err != nil {
		return nil, err
	}
	p := &Page{Records: r.m.records, MillisBehind: behind, mem: r.m}
	if !r.sh.Open() && !more {
		p.Children = info.Children(r.sh.Index)
	} else {
		p.Next = r.s.token(r.sh.Index, next, now)
	}
	return p, nil
}

// fill reads records from a position on into m.records and returns where to go on, whether there is more by now, and how
// old that is in milliseconds.
func (r *pageReader) fill(from uint64, now time.Time) (next uint64, more bool, behind int64, err *Error) {
	from = max(from, r.sh.Start)
	end, err := r.read(from)
	if err != nil {
		return 0, false, 0, err
	}
	next = r.collect(from, end)
	_, micros, more, failed := r.s.e.lane.Next(r.sh.ID, next, r.level)
	if failed != nil {
		return 0, false, 0, laneError(failed)
	}
	if more {
		behind = max(now.UnixMilli()-micros/1000, 0)
	}
	return next, more, behind, nil
}

// read fills m.buf with stored batches from a position on, enough for the page if there are, and returns where they end.
func (r *pageReader) read(from uint64) (next uint64, err *Error) {
	records, size := 0, 0
	for chunk := firstRead; ; chunk = min(2*chunk, r.maxBytes) {
		at := len(r.m.buf)
		var failed error
		r.m.buf, next, failed = r.s.readUnexpired(r.m.buf, lane.Query{Shard: r.sh.ID, From: from, MaxBytes: chunk, Level: r.level}, r.cut)
		if failed != nil {
			return 0, laneError(failed)
		}
		if len(r.m.buf) == at {
			return max(next, from), nil
		}
		for b := batch.Batch(r.m.buf[at:]); len(b) > 0; b = b[b.Len():] {
			records += b.Records()
			size += b.RawLen()
			if b.Position() < from { // the first records of the first batch are behind the reader
				records -= int(min(from-b.Position(), uint64(b.Records())))
			}
		}
		if records >= r.limit || size >= r.maxBytes {
			return next, nil
		}
		from = next
	}
}

// collect makes records of what read has read and returns the position of the first one left over, or end.
func (r *pageReader) collect(from, end uint64) (next uint64) {
	for b := batch.Batch(r.m.buf); len(b) > 0; b = b[b.Len():] {
		one := b[:b.Len()]
		first := 0
		if from > one.Position() {
			first = int(min(from-one.Position(), math.MaxInt32))
		}
		if first >= one.Records() {
			continue
		}
		if one.Codec() != batch.CodecRaw {
			if r.unpacked > 0 && r.unpacked+one.RawLen() > maxUnpacked {
				return one.Position() + uint64(first)
			}
			r.unpacked += one.RawLen()
		}
		it, err := r.open(one)
		if err != nil {
			r.s.e.malformed.Add(1)
			continue
		}
		if left := r.take(one, it, first); left < one.Records() {
			return one.Position() + uint64(left)
		}
		if len(r.m.records) >= r.limit && len(b) > one.Len() {
			return one.Position() + uint64(one.Len())
		}
	}
	return end
}

// open returns an iterator over a stored batch, good until the page is released (compressed) or the next call (raw).
func (r *pageReader) open(b batch.Batch) (*batch.Iterator, error) {
	if b.Codec() == batch.CodecRaw {
		return &r.m.raw, r.m.raw.Reset(b)
	}
	body, err := r.s.e.bodies.get(b)
	if err != nil {
		return nil, err
	}
	r.m.bodies = append(r.m.bodies, body)
	r.m.packed = body.it // a copy walks by itself over what the original has decompressed
	return &r.m.packed, nil
}

// take adds the records of one batch from index first on, as many as the page still takes, and returns the index of the
// first one left over. What is malformed ends the batch: it has been so since its producer built it.
func (r *pageReader) take(b batch.Batch, it *batch.Iterator, first int) int {
	position, micros := b.Position(), b.AppendMicros()
	seq := Sequence{ShardCreated: r.sh.CreatedSeconds, Shard: r.sh.Index, Seconds: micros / 1e6}
	arrival := time.UnixMicro(micros)
	encrypted := r.settings.EncryptedAt(position)
	for i := first; i < it.Records(); i++ {
		if len(r.m.records) >= r.limit {
			return i
		}
		if !it.Record(i) {
			r.s.e.malformed.Add(1)
			break
		}
		key, data := it.Key(), it.Data()
		n := len(key) + len(data)
		if r.bytes+n > r.maxBytes && len(r.m.records) > 0 {
			return i
		}
		r.bytes += n
		seq.Position = position + uint64(i)
		r.m.records = append(r.m.records, ReadRecord{Sequence: seq, Key: key, Data: data, Arrival: arrival, Encrypted: encrypted})
	}
	return b.Records()
}
