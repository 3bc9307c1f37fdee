package lane

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// Trim drops sealed segments that end at or below before; a file goes when nobody reads it any more. Without files it
// drops what the ring holds below before. An error leaves the file to the next call.
func (l *Lane) Trim(before uint64) error {
	if err := l.closedReading(); err != nil {
		return err
	}
	if l.opts.FS == nil {
		l.trimMemory(before)
		return nil
	}
	ss := &l.segs
	ss.mu.Lock()
	defer ss.mu.Unlock()
	list := ss.all()
	n := 0
	for n < len(list) && list[n].foot.Load() != nil && list[n].dataEnd() <= before {
		n++
	}
	if n > 0 {
		rest := append([]*segment(nil), list[n:]...)
		ss.list.Store(&rest)
		for _, s := range list[:n] {
			s.refs.Add(-1)
			l.cache.drop(s.base)
			ss.doomed = append(ss.doomed, s)
		}
	}
	err := ss.reapErr
	ss.reapErr = nil
	return errors.Join(err, l.reapLocked())
}

// reapLocked removes trimmed segments that nobody reads, oldest first and one at a time: if a crash undoes some of it,
// what is back is the newer end, and recovery finds no hole.
func (l *Lane) reapLocked() error {
	ss := &l.segs
	for len(ss.doomed) > 0 && ss.doomed[0].refs.Load() == 0 {
		s := ss.doomed[0]
		if err := l.removeSegment(s); err != nil {
			return fmt.Errorf("trim segment %s: %w", s.name, err)
		}
		ss.doomed = ss.doomed[1:]
	}
	return nil
}

// removeSegment closes and removes the file of s for good.
func (l *Lane) removeSegment(s *segment) error {
	s.fileMu.Lock()
	defer s.fileMu.Unlock()
	if s.file != nil && s.foot.Load() != nil {
		l.segs.open.Add(-1)
	}
	if err := s.closeFile(); err != nil {
		return err
	}
	err := l.opts.FS.Remove(path.Join(l.opts.Dir, s.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a sync that failed last time leaves no file
		return err
	}
	return l.opts.FS.SyncDir(l.opts.Dir)
}

// trimMemory moves the cut of a lane without files up to before.
func (l *Lane) trimMemory(before uint64) {
	l.space.mu.Lock()
	defer l.space.mu.Unlock()
	if c := min(before, l.published()); c > l.cut.Load() {
		l.cut.Store(c)
	}
}

// Horizon is the oldest position still kept.
func (l *Lane) Horizon() uint64 {
	if l.opts.FS == nil {
		return l.cut.Load()
	}
	list := l.segs.all()
	if len(list) == 0 {
		return l.published()
	}
	return list[0].base
}

// Segments lists the segments, oldest first.
func (l *Lane) Segments() []SegmentInfo {
	published := l.published()
	var infos []SegmentInfo
	for _, s := range l.segs.all() {
		if s.base > published {
			break // made ahead
		}
		info := SegmentInfo{
			Base: s.base, End: min(s.dataEnd(), max(published, s.base)), Sealed: s.foot.Load() != nil,
			FirstMicros: s.firstMicros.Load(), LastMicros: s.lastMicros.Load(),
		}
		info.Bytes = l.segmentBytes(s)
		infos = append(infos, info)
	}
	return infos
}

// segmentBytes is how long the file of s is, 0 where there is none.
func (l *Lane) segmentBytes(s *segment) int64 {
	switch f := s.foot.Load(); {
	case l.opts.FS == nil:
		return 0
	case f != nil:
		return f.fileSize
	}
	return headerLen + int64(s.size)
}

// dataEnd is where the batches of s end: below limit where s was sealed before it was full.
func (s *segment) dataEnd() uint64 {
	if f := s.foot.Load(); f != nil {
		return f.end
	}
	return s.end()
}
