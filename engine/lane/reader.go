package lane

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/shardmill/shardmill/codec/batch"
)

// errGone says that a lane without files no longer has a position: the ring went over it.
var errGone = errors.New("no longer in the ring")

// Read appends whole stored batches of the query's shard to dst (commit word replaced by the plain position) and returns
// dst and the position to continue from. No batch visible: dst unchanged. ErrTrimmed never occurs: a From below the
// oldest kept batch starts at the oldest. Corruption is a *CorruptionError; batches before it are returned first, without
// an error. dst stays the caller's.
func (l *Lane) Read(dst []byte, q Query) ([]byte, uint64, error) {
	if err := l.checkQuery(q.Shard, q.Level); err != nil {
		return dst, q.From, err
	}
	visible := l.watermark(q.Level)
	r := reader{lane: l, shard: q.Shard, visible: visible, next: q.From, dst: dst, start: len(dst), max: q.MaxBytes}
	for _, s := range l.segs.from(q.From) {
		if s.base >= visible || r.full {
			break
		}
		if !s.acquire() {
			continue // trimmed
		}
		err := r.segment(s)
		l.releaseSegment(s)
		if err != nil && len(r.dst) == r.start {
			return dst, r.next, err
		}
		if err != nil {
			return r.dst, r.next, nil
		}
	}
	if !r.full {
		r.next = max(r.next, visible)
	}
	return r.dst, r.next, nil
}

func (l *Lane) checkQuery(shard uint32, level Level) error {
	if shard >= MaxShards || level >= levels {
		return fmt.Errorf("%w: shard %d, level %d", ErrInvalid, shard, level)
	}
	return l.closedReading()
}

// reader is one call of Read.
type reader struct {
	lane    *Lane
	shard   uint32
	visible uint64
	next    uint64 // where to go on
	dst     []byte
	start   int
	max     int
	full    bool // MaxBytes reached
}

// segment reads what it may of the shard's batches in s. Batches that lie back to back are copied in one go.
func (r *reader) segment(s *segment) error {
	for {
		x, err := r.lane.extentsOf(s, r.shard)
		if err != nil {
			return err
		}
		r.lane.seek(s, &x, r.next)
		err = r.walk(s, &x)
		if !errors.Is(err, errGone) {
			return err
		}
	}
}

// seek moves x to the first batch of s that ends after from. In a lane without files that is one that was still there a
// moment ago; errGone from it asks for another seek, which goes further: cut has moved.
func (l *Lane) seek(s *segment, x *extents, from uint64) {
	if l.opts.FS != nil {
		x.seek(max(from, s.base) - s.base)
		return
	}
	cut := l.cut.Load()
	x.seek(max(from, cut, s.base) - s.base)
	if e, ok := x.peek(); ok && s.base+extentOffset(e) < cut {
		x.next() // cut need not be where a batch starts
	}
}

// walk reads the batches at the extents of x.
func (r *reader) walk(s *segment, x *extents) error {
	for {
		first, ok := r.take(s, x, 0)
		if !ok {
			return nil
		}
		from := s.base + extentOffset(first)
		n := extentLen(first)
		for {
			e, ok := x.peek()
			if !ok || s.base+extentOffset(e) != from+n || (from+n)&r.lane.ring.mask == 0 {
				break
			}
			if _, ok := r.take(s, x, n); !ok {
				break
			}
			n += extentLen(e)
		}
		if err := r.copy(s, from, n); err != nil {
			return err
		}
		r.next = from + n
		if r.full {
			return nil
		}
	}
}

// take returns the next extent if it is visible and fits behind pending bytes.
func (r *reader) take(s *segment, x *extents, pending uint64) (uint64, bool) {
	e, ok := x.peek()
	if !ok || s.base+extentOffset(e) >= r.visible {
		return 0, false
	}
	if have := len(r.dst) - r.start + int(pending); have > 0 && have+int(extentLen(e)) > r.max {
		r.full = true
		return 0, false
	}
	x.next()
	return e, true
}

// copy appends [from, from+n), whole batches of the shard, to dst and makes of them what consumers get.
func (r *reader) copy(s *segment, from, n uint64) error {
	at := len(r.dst)
	r.dst = slices.Grow(r.dst, int(n))[:at+int(n)]
	p := r.dst[at:]
	stored, err := r.lane.fetch(s, from, p)
	for o := uint64(0); o < n && err == nil; {
		b := batch.Batch(p[o:])
		if stored {
			b, err = checkExtent(s, from+o, p[o:], r.shard)
		}
		if err == nil {
			batch.Deliver(b, from+o)
			o += uint64(b.Len())
		} else if o > 0 { // what precedes the damage is sound
			r.dst = r.dst[:at+int(o)]
			r.next = from + o
			return err
		}
	}
	if err != nil {
		r.dst = r.dst[:at]
	}
	return err
}

// checkExtent verifies a batch read from the file of s.
func checkExtent(s *segment, pos uint64, p []byte, shard uint32) (batch.Batch, error) {
	b, err := batch.CheckStored(p, pos, s.key)
	if err == nil && (b.Kind() != batch.KindData || b.Shard() != shard) {
		err = errExtent
	}
	if err != nil {
		return nil, s.corrupt(pos, err)
	}
	return b, nil
}

// fetch fills p with the bytes at pos: from the ring if they are there, else from the file, which stored tells.
func (l *Lane) fetch(s *segment, pos uint64, p []byte) (stored bool, err error) {
	if slot, ok := l.pin(pos); ok {
		copy(p, l.ring.at(pos, uint64(len(p))))
		l.unpin(slot)
		return false, nil
	}
	if l.opts.FS == nil {
		if err := l.closedReading(); err != nil {
			return false, err
		}
		return false, errGone
	}
	f, err := l.useFile(s)
	if err != nil {
		return false, err
	}
	defer l.doneFile(s)
	_, err = f.ReadAt(p, s.offset(pos))
	if errors.Is(err, io.EOF) {
		return true, s.corrupt(pos, err)
	}
	if err != nil {
		return true, fmt.Errorf("read segment %s: %w", s.name, err)
	}
	return true, nil
}

// micros is the arrival time of the batch at pos.
func (l *Lane) micros(s *segment, pos uint64) (int64, error) {
	p := make([]byte, batch.HeaderLen)
	stored, err := l.fetch(s, pos, p)
	if err != nil {
		return 0, err
	}
	b := batch.Batch(p)
	if stored {
		if b, err = batch.CheckStoredHeader(p, pos, s.key); err != nil {
			return 0, s.corrupt(pos, err)
		}
	}
	return b.AppendMicros(), nil
}

// Next returns the first visible extent of shard at or after from (or containing it), and its arrival time.
func (l *Lane) Next(shard uint32, from uint64, level Level) (e Extent, micros int64, ok bool, err error) {
	if err := l.checkQuery(shard, level); err != nil {
		return Extent{}, 0, false, err
	}
	return l.nextWithin(shard, from, l.watermark(level), 0)
}

// nextWithin is Next below visible, among batches that arrived at notBefore or later.
func (l *Lane) nextWithin(shard uint32, from, visible uint64, notBefore int64) (e Extent, micros int64, ok bool, err error) {
	for _, s := range l.segs.from(from) {
		if s.base >= visible {
			break
		}
		if !s.acquire() {
			continue
		}
		e, micros, ok, err = l.nextIn(s, shard, from, visible, notBefore)
		l.releaseSegment(s)
		if ok || err != nil {
			return e, micros, ok, err
		}
	}
	return Extent{}, 0, false, nil
}

// nextIn is nextWithin in one segment.
func (l *Lane) nextIn(s *segment, shard uint32, from, visible uint64, notBefore int64) (Extent, int64, bool, error) {
	for {
		x, err := l.extentsOf(s, shard)
		if err != nil {
			return Extent{}, 0, false, err
		}
		l.seek(s, &x, from)
		if notBefore > 0 {
			err = l.seekMicros(s, &x, visible, notBefore)
		}
		e, ok := x.peek()
		pos := s.base + extentOffset(e)
		if err == nil && (!ok || pos >= visible) {
			return Extent{}, 0, false, nil
		}
		var micros int64
		if err == nil {
			micros, err = l.micros(s, pos)
		}
		if errors.Is(err, errGone) {
			continue
		}
		return Extent{Position: pos, Len: int(extentLen(e)), Records: extentRecords(e)}, micros, err == nil, err
	}
}

// seekMicros moves x to the first visible batch that arrived at micros or later, by binary search over headers: arrival
// times do not decrease with position.
func (l *Lane) seekMicros(s *segment, x *extents, visible uint64, micros int64) (err error) {
	list := x.rest(visible - s.base)
	i := sort.Search(len(list), func(i int) bool {
		if err != nil {
			return true
		}
		at, e := l.micros(s, s.base+extentOffset(list[i]))
		err = e
		return at >= micros
	})
	if err == nil && i < len(list) {
		x.seek(extentOffset(list[i]))
	} else if err == nil {
		x.c = len(x.chunks)
	}
	return err
}

// SeekTime returns the position of shard's first batch that arrived at or after micros; the published watermark where
// there is none.
func (l *Lane) SeekTime(shard uint32, micros int64) (uint64, error) {
	if err := l.checkQuery(shard, LevelMem); err != nil {
		return 0, err
	}
	visible := l.published()
	list := l.segs.all()
	// Segments too have times that do not decrease. Those of open ones are not exact; they are at the end.
	i := sort.Search(len(list), func(i int) bool {
		return list[i].foot.Load() == nil || list[i].lastMicros.Load() >= micros
	})
	if i == len(list) {
		return visible, nil
	}
	e, _, ok, err := l.nextWithin(shard, list[i].base, visible, max(micros, 1))
	if err != nil || !ok {
		return visible, err
	}
	return e.Position, nil
}
