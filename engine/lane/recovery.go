package lane

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/shardmill/shardmill/internal/vfs"
)

// lockName is the file whose lock keeps a second process out of the folder.
const lockName = "LOCK"

// newKey makes a random lane key. keyFloor keeps commit words from being zero.
func newKey() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	return binary.LittleEndian.Uint64(b[:]) | keyFloor
}

// recover brings the lane to where the last run, or crash, left it, and starts the next run.
//
//  1. Read the header of every segment. One that cannot be read is an error: nothing is removed on a guess.
//  2. Read the footer of each; scan those without a sound one. See settle for what a scan that ends early means.
//  3. Seal what was scanned. Until here nothing was changed that a second recovery would see differently.
//  4. Make the first segment of the new run, above every position that the last run can have given out. Those are within
//     its last file, because none is claimed before its file is there; and within a ring size of what was written.
//  5. Remove segments that hold nothing: not before 4, because they too mark positions as used.
func (l *Lane) recover() error {
	if l.opts.FS == nil {
		base := uint64(l.opts.SegmentSize)
		l.prepared.Store(base)
		l.begin(base, 0)
		l.prepareMemory()
		l.publishing.start(l, base)
		return nil
	}
	if err := l.lockFolder(); err != nil {
		return err
	}
	found, err := l.findSegments()
	if err == nil {
		err = l.resume(found)
	}
	if err != nil {
		for _, s := range found { // they may not be in the list yet, which Open closes
			err = errors.Join(err, s.closeFile())
		}
	}
	return err
}

// resume is steps 2 to 5 of recover.
func (l *Lane) resume(found []*segment) error {
	kept, dropped, err := l.settle(found)
	if err != nil {
		return err
	}
	base, lastMicros, durable := l.nextBase(kept, found), int64(0), uint64(0)
	for _, s := range kept {
		durable = max(durable, s.hint)
	}
	for _, s := range kept {
		if s.foot.Load() == nil {
			if err := l.sealRecovered(s, durable); err != nil {
				return err
			}
		}
		lastMicros = max(lastMicros, s.lastMicros.Load())
		if s.dataEnd() > s.base {
			l.segs.add(s)
		} else {
			dropped = append(dropped, s)
		}
	}
	if err := l.discardMaking(); err != nil {
		return err
	}
	l.begin(base, lastMicros)
	l.prepared.Store(base)
	if err := l.prepare(base); err != nil {
		return err
	}
	l.publishing.start(l, base)
	slices.SortFunc(dropped, func(a, b *segment) int { return cmp.Compare(b.base, a.base) })
	for _, s := range dropped { // newest first: what a crash leaves of them has no hole
		if err := l.removeSegment(s); err != nil {
			return fmt.Errorf("remove empty segment %s: %w", s.name, err)
		}
	}
	return nil
}

// begin sets every watermark to base, where this run starts. What lies below is not in the ring.
func (l *Lane) begin(base uint64, lastMicros int64) {
	l.clock = newClock(lastMicros)
	l.tail.Store(base)
	l.head.Store(base)
	l.written.Store(base)
	l.durable.Store(base)
	l.cut.Store(base)
}

func (l *Lane) lockFolder() error {
	fsys, dir := l.opts.FS, l.opts.Dir
	err := vfs.MkdirSync(fsys, dir)
	if err != nil {
		return err
	}
	l.unlock, err = fsys.Lock(path.Join(dir, lockName))
	return err
}

// nextBase is where the new run starts.
func (l *Lane) nextBase(kept, found []*segment) (base uint64) {
	size := uint64(l.opts.SegmentSize)
	base = size // position 0 is never used: it stands for none
	for _, s := range found {
		base = max(base, s.end())
	}
	for _, s := range kept {
		base = max(base, s.recovered+max(s.ring, uint64(l.opts.RingSize)))
	}
	return (base + size - 1) / size * size
}

// findSegments reads the headers, and where they are sound the footers, of all segments, oldest first.
func (l *Lane) findSegments() ([]*segment, error) {
	names, err := l.opts.FS.List(l.opts.Dir)
	if err != nil {
		return nil, err
	}
	var found []*segment
	for _, name := range names {
		base, ok := parseSegmentName(name)
		if !ok {
			continue
		}
		s := &segment{name: name}
		if err := l.readSegmentEnds(s, base); err != nil {
			return nil, err
		}
		if len(found) == 0 {
			l.id = s.lane
		} else if err := follows(found[len(found)-1], s); err != nil {
			return nil, err
		}
		if s.lane != l.id {
			return nil, &CorruptionError{Segment: name, Offset: offHeadLane, Cause: errLane}
		}
		found = append(found, s)
	}
	if len(found) == 0 {
		_, _ = rand.Read(l.id[:])
	}
	return found, nil
}

// follows says whether s can be the segment after prev.
func follows(prev, s *segment) error {
	switch {
	case s.base < prev.end():
		return &CorruptionError{Segment: s.name, Offset: offHeadBase, Position: s.base, Cause: errOverlap}
	case s.prevBase > prev.base:
		return &CorruptionError{
			Segment: segmentName(s.prevBase), Position: s.prevBase,
			Cause: fmt.Errorf("%w: %s follows it", errMissing, s.name),
		}
	}
	return nil
}

// readSegmentEnds reads header and footer of the segment file s.name.
func (l *Lane) readSegmentEnds(s *segment, base uint64) error {
	f, err := l.opts.FS.Open(path.Join(l.opts.Dir, s.name))
	if err != nil {
		return fmt.Errorf("open segment %s: %w", s.name, err)
	}
	err = s.readEnds(f, base)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close segment %s: %w", s.name, cerr)
	}
	return err
}

func (s *segment) readEnds(f vfs.File, base uint64) error {
	p := make([]byte, headerLen)
	n, err := f.ReadAt(p, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read segment %s: %w", s.name, err)
	}
	h, err := parseHeader(p[:n])
	if err == nil && h.base != base {
		err = errHeader
	}
	if errors.Is(err, ErrVersion) {
		return fmt.Errorf("segment %s: %w", s.name, err)
	}
	if err != nil {
		return &CorruptionError{Segment: s.name, Position: base, Cause: err}
	}
	s.header = h
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("read segment %s: %w", s.name, err)
	}
	for need := headerLen; need > 0; {
		p = make([]byte, min(int64(need), size))
		if _, err := f.ReadAt(p, size-int64(len(p))); err != nil {
			return fmt.Errorf("read segment %s: %w", s.name, err)
		}
		foot, more, err := parseFooter(p, &s.header, size)
		if err != nil || more <= need && more != 0 {
			break // no sound footer: the batches will tell
		}
		if need = more; more == 0 {
			s.foot.Store(foot)
			s.recovered = foot.end
			s.firstMicros.Store(foot.firstMicros)
			s.lastMicros.Store(foot.lastMicros)
		}
	}
	return nil
}

// settle finds out where the batches of segments without a sound footer end. kept are those to go on with; dropped those
// behind a tear.
//
// Segments are synced in order and sealed in order. So in the last run: sealed segments, then at most maxUnsealed without
// a footer, which a kill leaves whole up to the last write. A power failure may leave any mix of what was not synced, in
// any of them: the log ends at the first batch that is not sound, the tear, if nothing at or after it had been promised
// durable. A promise is a sound batch behind the tear that was appended when the durable watermark was above the tear, or
// a later segment that is sealed or of a later run. A broken promise is corruption, and nothing is changed.
//
// A recovery that crashed itself may have left segments behind a tear that it had found. They are known by the segment in
// front of them, sealed before it was full, or by the later run that the recovery began, whose first segment names the
// end of the log.
func (l *Lane) settle(found []*segment) (kept, dropped []*segment, err error) {
	for i, s := range found {
		if s.foot.Load() != nil {
			kept = append(kept, s)
			continue
		}
		next := nextRun(s, found[i+1:])
		torn := len(kept) > 0 && kept[len(kept)-1].key == s.key && kept[len(kept)-1].recovered < kept[len(kept)-1].end()
		if torn || next != nil && next.prevBase < s.base {
			dropped = append(dropped, s)
			continue
		}
		whole, err := l.scanUnsealed(s, found[i+1:], next)
		if err != nil {
			return nil, nil, err
		}
		kept = append(kept, s)
		if !whole {
			return kept, append(dropped, found[i+1:]...), nil
		}
	}
	return kept, dropped, nil
}

// nextRun is the first segment of the run after that of s, nil where there is none.
func nextRun(s *segment, later []*segment) *segment {
	i := slices.IndexFunc(later, func(n *segment) bool { return n.key != s.key })
	if i < 0 {
		return nil
	}
	return later[i]
}

// scanUnsealed indexes s and sets its end. later are the segments after it, next the one of them that starts a later run,
// if any does. whole: the log goes on in them.
func (l *Lane) scanUnsealed(s *segment, later []*segment, next *segment) (whole bool, err error) {
	f, err := l.useFile(s)
	if err != nil {
		return false, err
	}
	defer l.doneFile(s)
	want := s.end()
	if next != nil && next.prevBase == s.base {
		want = next.prevEnd
	}
	_, end, damage, err := s.scan(f, want)
	if err != nil {
		return false, err
	}
	s.recovered = end
	if end == want {
		return true, nil
	}
	promised := next != nil
	if !promised {
		promised, err = s.promised(f, end, s.end(), end)
	}
	for _, n := range later {
		if promised || err != nil {
			break
		}
		if promised = n.foot.Load() != nil; !promised {
			promised, err = l.promisedIn(n, end)
		}
	}
	if err != nil {
		return false, fmt.Errorf("scan behind the end of segment %s: %w", s.name, err)
	}
	if promised {
		return false, s.corrupt(end, fmt.Errorf("%w: %w", errPromised, damage))
	}
	return false, nil
}

// promisedIn looks through all of n for a promise above p.
func (l *Lane) promisedIn(n *segment, p uint64) (bool, error) {
	f, err := l.useFile(n)
	if err != nil {
		return false, err
	}
	defer l.doneFile(n)
	return n.promised(f, n.base, n.end(), p)
}

// sealRecovered seals a segment that a scan has indexed. What lies below durable is known to be so.
func (l *Lane) sealRecovered(s *segment, durable uint64) error {
	// What a kill or a failed sync left in the page cache is read back but not yet durable; the footer says that it is.
	f, err := l.useFile(s)
	if err != nil {
		return err
	}
	err = s.rewrite(f, durable)
	if err == nil {
		err = f.SyncData()
	}
	l.doneFile(s)
	if err != nil {
		return fmt.Errorf("sync segment %s: %w", s.name, err)
	}
	return l.seal(s, s.recovered)
}
