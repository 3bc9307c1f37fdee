package lane

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/shardmill/shardmill/internal/vfs"
)

// preparing is the goroutine that makes segment files ahead of need. No position is claimed before the file it will be in
// is durably there (space.raiseLocked keeps limit within Lane.prepared). That keeps roll off the append path, and it
// means that a crash leaves a file above every position that anyone can have seen: recovery goes on above it.
func (l *Lane) preparing() {
	for !l.broken.Load() && !l.preparer.quit.Load() {
		end := l.prepared.Load()
		if end >= l.aheadOf(l.published()) {
			l.preparer.sleep(asleep, func() bool {
				return l.prepared.Load() < l.aheadOf(l.published()) || l.preparer.quit.Load() || l.broken.Load()
			}, 0)
			continue
		}
		if err := l.prepare(end); err != nil {
			l.stop(err)
			return
		}
		l.space.free(l)
	}
}

// aheadOf is where the segment after the one that holds p ends.
func (l *Lane) aheadOf(p uint64) uint64 {
	size := uint64(l.opts.SegmentSize)
	return p/size*size + 2*size
}

// prepare makes the segment at base, which follows the last one.
func (l *Lane) prepare(base uint64) error {
	size := uint64(l.opts.SegmentSize)
	if base > maxPosition-size {
		return fmt.Errorf("prepare segment: %w: no positions are left", ErrInvalid)
	}
	h := header{
		lane: l.id, base: base, size: size, ring: uint64(l.opts.RingSize), key: l.key, created: time.Now().UnixMicro(),
	}
	if list := l.segs.all(); len(list) > 0 {
		last := list[len(list)-1]
		h.prevBase, h.prevEnd = last.base, last.dataEnd()
	}
	f, err := l.createSegment(&h)
	if err != nil {
		return fmt.Errorf("prepare segment %s: %w", segmentName(base), err)
	}
	s := newSegment(h)
	s.file = f
	l.segs.add(s)
	l.prepared.Store(h.end())
	return nil
}

// newSegment makes an unsealed segment with an empty index.
func newSegment(h header) *segment {
	s := &segment{header: h, name: segmentName(h.base)}
	s.index.Store(new(openIndex))
	return s
}

// createSegment makes a segment's file. It gets its name only once its header is on disk, so a segment file never has a
// half-written header, and it is there for good once this returns.
func (l *Lane) createSegment(h *header) (vfs.File, error) {
	fsys := l.opts.FS
	name := path.Join(l.opts.Dir, segmentName(h.base))
	making := name + makingSuffix
	f, err := fsys.Create(making)
	if err != nil {
		return nil, err
	}
	err = f.Preallocate(headerLen + int64(h.size))
	if err == nil {
		_, err = f.WriteAt(appendHeader(nil, h), 0)
	}
	if err == nil {
		err = f.SyncData()
	}
	if err == nil {
		err = fsys.Rename(making, name)
	}
	if err == nil {
		err = fsys.SyncDir(l.opts.Dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// prepareMemory adds a segment of a lane without files: a piece of index. It drops those whose batches the ring no longer
// holds. The caller holds space.mu.
func (l *Lane) prepareMemory() (prepared uint64) {
	size := uint64(l.opts.SegmentSize)
	base := l.prepared.Load()
	ss := &l.segs
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var list []*segment
	for _, s := range ss.all() {
		if s.end() > l.cut.Load() {
			list = append(list, s)
		}
	}
	s := newSegment(header{base: base, size: size})
	s.refs.Store(1)
	list = append(list, s)
	ss.list.Store(&list)
	l.prepared.Store(s.end())
	return s.end()
}

// sealing is the goroutine that gives full segments their footer.
func (l *Lane) sealing() {
	for !l.broken.Load() {
		quit := l.sealer.quit.Load() // before durable: what the syncer has left must be seen here
		stress(stressWork)
		s := l.unsealed(l.durable.Load())
		if s == nil {
			if quit {
				return
			}
			l.sealer.sleep(asleep, func() bool {
				return l.unsealed(l.durable.Load()) != nil || l.sealer.quit.Load() || l.broken.Load()
			}, 0)
			continue
		}
		if err := l.seal(s, s.end()); err != nil {
			l.stop(err)
			return
		}
		l.flusher.poke()
	}
}

// unsealed is the oldest segment that ends at or below end and has no footer.
func (l *Lane) unsealed(end uint64) *segment {
	for _, s := range l.segs.all() {
		if s.end() > end {
			return nil
		}
		if s.foot.Load() == nil {
			return s
		}
	}
	return nil
}

// seal writes the footer of s, whose batches end at end and are durable, and gives its index in memory up.
func (l *Lane) seal(s *segment, end uint64) error {
	p, err := appendFooter(nil, &s.header, end, s.index.Load())
	if err == nil {
		err = l.writeFooter(s, end, p)
	}
	if err != nil {
		return fmt.Errorf("seal segment %s: %w", s.name, err)
	}
	f, _, err := parseFooter(p, &s.header, s.offset(end)+int64(len(p)))
	if err != nil {
		panic("BUG: footer cannot be read back: " + err.Error())
	}
	s.firstMicros.Store(f.firstMicros)
	s.lastMicros.Store(f.lastMicros)
	wasOpen := s.foot.Swap(f) == nil
	s.index.Store(nil)
	if wasOpen && l.segs.open.Add(1) > maxOpenFiles { // from now on its file is one that may be closed
		l.closeIdleFile(nil)
	}
	return nil
}

func (l *Lane) writeFooter(s *segment, end uint64, p []byte) error {
	f, err := l.useFile(s)
	if err != nil {
		return err
	}
	defer l.doneFile(s)
	if _, err := f.WriteAt(p, s.offset(end)); err != nil {
		return err
	}
	if err := f.Truncate(s.offset(end) + int64(len(p))); err != nil {
		return err
	}
	return f.SyncData()
}

// discardMaking removes what a crash left of segments being made. Nothing was ever in them.
func (l *Lane) discardMaking() error {
	names, err := l.opts.FS.List(l.opts.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		base, ok := cutMaking(name)
		if !ok {
			continue
		}
		if err := l.opts.FS.Remove(path.Join(l.opts.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove unfinished segment %s: %w", segmentName(base), err)
		}
	}
	return nil
}

// cutMaking tells whether name is that of a segment being made, and which.
func cutMaking(name string) (base uint64, ok bool) {
	if len(name) <= len(makingSuffix) || name[len(name)-len(makingSuffix):] != makingSuffix {
		return 0, false
	}
	return parseSegmentName(name[:len(name)-len(makingSuffix)])
}
