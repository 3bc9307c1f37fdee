package lane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/internal/vfs"
)

// scanBuffer is what one read of a scan carries: it and what it holds stay in the processor's cache while they are
// summed. A batch that is longer makes the buffer grow to its length.
const scanBuffer = 1 << 20

// scanner reads a segment file batch by batch.
type scanner struct {
	f     vfs.File
	h     *header
	buf   []byte // what is read and not yet looked at starts at at
	at    int
	next  uint64 // position of buf[at]
	limit uint64 // positions from here on are not read
}

func newScanner(f vfs.File, h *header, from, limit uint64) *scanner {
	return &scanner{f: f, h: h, next: from, limit: limit}
}

// fill has at least n bytes in the buffer, or as many as there are before limit and the end of the file.
func (s *scanner) fill(n int) error {
	have := len(s.buf) - s.at
	if have >= n {
		return nil
	}
	size := max(n, scanBuffer)
	if cap(s.buf) < size {
		s.buf = append(make([]byte, 0, size), s.buf[s.at:]...)
	} else {
		s.buf = s.buf[:copy(s.buf[:cap(s.buf)], s.buf[s.at:])]
	}
	s.at = 0
	from := s.next + uint64(have)
	want := min(uint64(size-have), s.limit-from)
	got, err := s.f.ReadAt(s.buf[have:have+int(want)], headerLen+int64(from-s.h.base))
	s.buf = s.buf[:have+got]
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// batch returns the next stored batch or pad, whole and verified, valid until the next call. damage says why there is
// none; err that the file cannot be read.
func (s *scanner) batch() (b batch.Batch, damage, err error) {
	if s.next >= s.limit {
		return nil, io.EOF, nil
	}
	if err := s.fill(batch.HeaderLen); err != nil {
		return nil, nil, err
	}
	b, damage = batch.CheckStoredHeader(s.buf[s.at:], s.next, s.h.key)
	if damage != nil {
		return nil, damage, nil
	}
	n := b.Len()
	if damage := s.h.checkBatch(s.next, uint64(n), b.Kind()); damage != nil {
		return nil, damage, nil
	}
	if b.Kind() == batch.KindPad {
		s.skip(n)
		return b, nil, nil
	}
	if err := s.fill(n); err != nil {
		return nil, nil, err
	}
	b, damage = batch.CheckStored(s.buf[s.at:], s.next, s.h.key)
	if damage != nil {
		return nil, damage, nil
	}
	s.at += n
	s.next += uint64(n)
	return b, nil, nil
}

// skip goes on n bytes further without looking at them.
func (s *scanner) skip(n int) {
	s.next += uint64(n)
	if n <= len(s.buf)-s.at {
		s.at += n
	} else {
		s.buf, s.at = s.buf[:0], 0
	}
}

// checkBatch compares a batch's length with what the lane could have written at p.
func (h *header) checkBatch(p, n uint64, kind batch.Kind) error {
	switch {
	case n > h.ring/4 && kind != batch.KindPad, n > h.end()-p:
		return errLength
	case p/h.ring != (p+n-1)/h.ring:
		return errCrossing
	}
	return nil
}

// scan enters the batches of s from base on into an index, up to limit or the first that is not sound. It returns where it
// stopped, and why: io.EOF for limit.
func (s *segment) scan(f vfs.File, limit uint64) (x *openIndex, end uint64, damage, err error) {
	x = new(openIndex)
	s.index.Store(x)
	s.firstMicros.Store(0)
	s.lastMicros.Store(0)
	sc := newScanner(f, &s.header, s.base, limit)
	for {
		at := sc.next
		b, damage, err := sc.batch()
		if err != nil {
			return nil, at, nil, fmt.Errorf("scan segment %s: %w", s.name, err)
		}
		if damage == nil && b.Kind() == batch.KindData && b.Shard() >= MaxShards {
			damage = errLength
		}
		if damage != nil {
			return x, at, damage, nil
		}
		if b.Kind() == batch.KindData {
			s.arrived(b.AppendMicros())
			x.add(b.Shard(), packExtent(at-s.base, b.Len(), b.Records()), b.AppendMicros())
			s.hint = max(s.hint, b.DurableHint())
		}
	}
}

// rewrite writes the batches of s that no sync is known to have reached, those from durable up to where they end, once
// more. A sync that failed may have left them in the page cache alone, as pages that count as written: another sync would
// succeed and save nothing. What is written is what was verified, as such a page may go at any time.
func (s *segment) rewrite(f vfs.File, durable uint64) error {
	sc := newScanner(f, &s.header, max(durable, s.base), s.recovered)
	var group []byte
	start := sc.next
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		_, err := f.WriteAt(group, s.offset(start))
		group = group[:0]
		return err
	}
	for sc.next < s.recovered {
		at := sc.next
		b, damage, err := sc.batch()
		if err == nil && damage != nil {
			err = s.corrupt(at, damage)
		}
		if err == nil && len(group)+b.Len() > maxWrite {
			err = flush()
		}
		if err != nil {
			return err
		}
		if len(group) == 0 {
			start = at
		}
		if b.Kind() == batch.KindPad { // of which the header alone means anything
			group = append(group, b[:batch.PadHeaderLen]...)
			if err := flush(); err != nil {
				return err
			}
			continue
		}
		group = append(group, b...)
	}
	return flush()
}

// promised looks for a sound batch in [from, limit) of the file whose header says that the lane's durable watermark was
// above p when it was appended. It finds batches by their commit word at any multiple of 32.
func (h *header) promised(f vfs.File, from, limit, p uint64) (bool, error) {
	chunks, err := h.written(f, from, limit)
	if err != nil {
		return false, err
	}
	buf := make([]byte, scanBuffer+batch.HeaderLen)
	for _, at := range chunks {
		n, err := f.ReadAt(buf[:min(uint64(len(buf)), limit-at)], headerLen+int64(at-h.base))
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		for i := 0; i < min(n-batch.HeaderLen+1, scanBuffer); i += batch.Align {
			pos := at + uint64(i)
			if binary.LittleEndian.Uint64(buf[i:]) != batch.CommitWord(pos, h.key) {
				continue
			}
			b, err := batch.CheckStoredHeader(buf[i:n], pos, h.key)
			if err == nil && b.Kind() == batch.KindData && b.DurableHint() > p {
				return true, nil
			}
		}
	}
	return false, nil
}

// written lists the positions in [from, limit) from which on scanBuffer bytes each cover all of the file that may hold
// something: most of what follows a torn tail was reserved and never written. It asks for all of them before anything
// is read, because what a read brings into the page cache ahead of itself no longer passes for reserved.
func (h *header) written(f vfs.File, from, limit uint64) ([]uint64, error) {
	var chunks []uint64
	for at := from; at < limit; at += scanBuffer {
		data, err := f.NextData(headerLen + int64(at-h.base))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if at = max(at, (h.base+uint64(max(data-headerLen, 0)))&^(batch.Align-1)); at < limit {
			chunks = append(chunks, at)
		}
	}
	return chunks, nil
}

// reindex makes an index in memory for a sealed segment whose footer proved damaged. The caller has acquired s.
func (l *Lane) reindex(s *segment) error {
	s.repair.Lock()
	defer s.repair.Unlock()
	if s.index.Load() != nil {
		return nil
	}
	file, err := l.useFile(s)
	if err != nil {
		return err
	}
	defer l.doneFile(s)
	end := s.dataEnd()
	rebuilt := &segment{header: s.header, name: s.name}
	x, at, damage, err := rebuilt.scan(file, end)
	switch {
	case err != nil:
		return err
	case at < end:
		return s.corrupt(at, damage)
	}
	l.cache.drop(s.base)
	s.index.Store(x)
	return nil
}
