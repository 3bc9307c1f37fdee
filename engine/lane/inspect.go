package lane

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"github.com/shardmill/shardmill/codec/batch"
)

// SegmentSummary is what a segment file says about itself, for people and tools; see InspectSegment.
type SegmentSummary struct {
	Lane              string // id in hex, the same in all segments of a lane
	Base, Size, Ring  uint64 // address space [Base, Base+Size); Ring: no batch crosses a multiple of it
	PrevBase, PrevEnd uint64
	CreatedMicros     int64

	Sealed bool           // has a sound footer
	End    uint64         // where the batches end: by the footer of a sealed segment, else by what was found
	Shards []SegmentShard // of the footer's directory, by shard
}

// SegmentShard is one shard's line in the directory of a sealed segment.
type SegmentShard struct {
	Shard, Batches          uint32
	Records, Bytes          uint64
	FirstMicros, LastMicros int64
}

// InspectSegment reads a segment file of size bytes from r: first its header and footer, then every batch and pad, in
// order, which it verifies and shows to visit at their position. Batches come as they are delivered and are valid during
// the call only. An error of visit ends the walk.
//
// The lane of the segment may be open elsewhere: what is not yet committed is simply the end. Errors: a *CorruptionError,
// ErrVersion, or r's own. It needs no Lane and may be called concurrently.
func InspectSegment(r io.ReaderAt, size int64, visit func(position uint64, b batch.Batch) error) (*SegmentSummary, error) {
	head := make([]byte, min(size, headerLen))
	if err := readFull(r, head, 0); err != nil {
		return nil, fmt.Errorf("read segment header: %w", err)
	}
	h, err := parseHeader(head)
	if err != nil {
		if errors.Is(err, ErrVersion) {
			return nil, err
		}
		return nil, &CorruptionError{Cause: err}
	}
	s := &SegmentSummary{
		Lane: hex.EncodeToString(h.lane[:]), Base: h.base, Size: h.size, Ring: h.ring, PrevBase: h.prevBase, PrevEnd: h.prevEnd,
		CreatedMicros: h.created,
	}
	w := inspector{r: r, size: size, head: &h, name: segmentName(h.base)}
	if err := w.footer(s); err != nil {
		return s, err
	}
	return s, w.walk(s, visit)
}

// inspector is one InspectSegment.
type inspector struct {
	r    io.ReaderAt
	size int64
	head *header
	name string
	buf  []byte // grows to the longest batch
}

func (w *inspector) corrupt(position uint64, cause error) error {
	return &CorruptionError{Segment: w.name, Offset: headerLen + int64(position-w.head.base), Position: position, Cause: cause}
}

// footer fills in what the footer says. No sound footer means that the segment is not sealed.
func (w *inspector) footer(s *SegmentSummary) error {
	need := trailerLen + summaryLen
	var f *footer
	for f == nil {
		tail := make([]byte, min(int64(need), w.size))
		if err := readFull(w.r, tail, w.size-int64(len(tail))); err != nil {
			return fmt.Errorf("read segment footer: %w", err)
		}
		var more int
		var err error
		if f, more, err = parseFooter(tail, w.head, w.size); err != nil || more > 0 && int64(more) > w.size {
			return nil //nolint:nilerr // not sealed
		}
		if f == nil {
			need = more
		}
	}
	s.Sealed, s.End = true, f.end
	dir := make([]byte, f.entries*entryLen) // parseFooter has compared it with the file's length
	if err := readFull(w.r, dir, f.dirOffset); err != nil {
		return fmt.Errorf("read segment directory: %w", err)
	}
	if xxhash.Sum64(dir) != f.dirSum {
		return w.corrupt(f.end, errFooter)
	}
	for ; len(dir) > 0; dir = dir[entryLen:] {
		e := parseEntry(dir)
		s.Shards = append(s.Shards, SegmentShard{
			Shard: e.shard, Batches: e.batches, Records: e.records, Bytes: e.bytes, FirstMicros: e.firstMicros, LastMicros: e.lastMicros,
		})
	}
	return nil
}

// walk shows every batch. A sealed segment must be whole; another one ends where nothing is committed.
func (w *inspector) walk(s *SegmentSummary, visit func(uint64, batch.Batch) error) error {
	end := w.head.end()
	if s.Sealed {
		end = s.End
	}
	at := w.head.base
	for at < end {
		b, err := w.batchAt(at, end)
		if errors.Is(err, batch.ErrNotCommitted) && !s.Sealed {
			break
		}
		if err != nil {
			return err
		}
		if err := visit(at, b); err != nil {
			return err
		}
		at += uint64(b.Len())
	}
	s.End = at
	return nil
}

// batchAt reads and verifies the batch at a position. The result of a pad is its header alone.
func (w *inspector) batchAt(at, end uint64) (batch.Batch, error) {
	offset := headerLen + int64(at-w.head.base)
	n := min(int64(batch.HeaderLen), w.size-offset, int64(end-at))
	if n < batch.PadHeaderLen {
		return nil, w.corrupt(at, batch.ErrShort)
	}
	if err := w.fill(int(n), offset); err != nil {
		return nil, err
	}
	b, err := batch.CheckStoredHeader(w.buf, at, w.head.key)
	if errors.Is(err, batch.ErrNotCommitted) {
		return nil, err
	}
	if err != nil {
		return nil, w.corrupt(at, err)
	}
	length := uint64(b.Len())
	if length == 0 || length > end-at {
		return nil, w.corrupt(at, errLength)
	}
	if b.Kind() == batch.KindPad {
		return b, nil
	}
	if length > batch.MaxLen || offset+int64(length) > w.size {
		return nil, w.corrupt(at, errLength)
	}
	if err := w.fill(int(length), offset); err != nil {
		return nil, err
	}
	if b, err = batch.CheckStored(w.buf, at, w.head.key); err != nil {
		return nil, w.corrupt(at, err)
	}
	batch.Deliver(b, at)
	return b, nil
}

// fill reads n bytes of the file into buf.
func (w *inspector) fill(n int, offset int64) error {
	if cap(w.buf) < n {
		w.buf = make([]byte, n)
	}
	w.buf = w.buf[:n]
	if err := readFull(w.r, w.buf, offset); err != nil {
		return fmt.Errorf("read segment at %d: %w", offset, err)
	}
	return nil
}

// readFull reads all of p, or says why not.
func readFull(r io.ReaderAt, p []byte, offset int64) error {
	n, err := r.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
