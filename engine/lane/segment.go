package lane

import (
	"fmt"
	"math"
	"path"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/internal/vfs"
)

// maxOpenFiles bounds the files of sealed segments that stay open between reads.
const maxOpenFiles = 256

// segment is one file of the lane, or in a lane without files a piece of its index.
//
// It is in use while refs is above 0: the list of segments holds one reference, each reader at work another. A segment
// taken off the list is removed when the last reader has left.
type segment struct {
	header
	name string
	refs atomic.Int32

	// index holds the extents until the footer is durable, and of a sealed one whose footer proved damaged. nil: the
	// footer has them.
	index atomic.Pointer[openIndex]
	foot  atomic.Pointer[footer] // of a sealed segment

	recovered uint64 // where the batches ended when the lane was opened; this and hint are of Open alone
	hint      uint64 // the highest durable hint that a scan has found

	firstMicros atomic.Int64 // arrival of the first and last batch; 0: none yet
	lastMicros  atomic.Int64

	repair sync.Mutex // held while index is made anew

	fileMu  sync.Mutex // guards the following
	file    vfs.File   // nil: not open
	users   int
	lastUse uint64
}

// offset is where in the file position p is.
func (s *segment) offset(p uint64) int64 { return headerLen + int64(p-s.base) }

// acquire keeps s from being removed until release. It fails where s is on its way out.
func (s *segment) acquire() bool {
	for {
		n := s.refs.Load()
		if n <= 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// corrupt makes the error for damage at position p.
func (s *segment) corrupt(p uint64, cause error) error {
	return &CorruptionError{Segment: s.name, Offset: s.offset(p), Position: p, Cause: cause}
}

// segments is the list of a lane's segments, and their files.
type segments struct {
	list atomic.Pointer[[]*segment] // oldest first; replaced, never changed

	mu      sync.Mutex // guards replacing list, and the following
	doomed  []*segment // trimmed, not yet removed, oldest first
	reapErr error      // of a removal nobody was told of

	open atomic.Int32  // files of sealed segments that are open
	uses atomic.Uint64 // counts uses of files, to find the one longest unused
}

func (ss *segments) all() []*segment {
	if p := ss.list.Load(); p != nil {
		return *p
	}
	return nil
}

// from is the segments that end after p.
func (ss *segments) from(p uint64) []*segment {
	list := ss.all()
	return list[sort.Search(len(list), func(i int) bool { return list[i].end() > p }):]
}

// at is the segment that holds p. There is one: nothing is claimed outside of them.
func (ss *segments) at(p uint64) *segment {
	list := ss.from(p)
	if len(list) == 0 || list[0].base > p {
		panic(fmt.Sprintf("BUG: no segment holds position %#x", p))
	}
	return list[0]
}

// add puts a segment at the end of the list.
func (ss *segments) add(s *segment) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s.refs.Store(1)
	list := append(slices.Clone(ss.all()), s)
	ss.list.Store(&list)
}

// useFile opens the file of s if need be and keeps it open until the returned function is called. The caller holds a
// reference to s.
func (l *Lane) useFile(s *segment) (vfs.File, error) {
	s.fileMu.Lock()
	defer s.fileMu.Unlock()
	if l.closed.Load() { // Close waits for those who are at work and then closes the file
		return nil, ErrClosed
	}
	if s.file == nil {
		f, err := l.opts.FS.Open(path.Join(l.opts.Dir, s.name))
		if err != nil {
			return nil, fmt.Errorf("open segment %s: %w", s.name, err)
		}
		s.file = f
		if s.foot.Load() != nil && l.segs.open.Add(1) > maxOpenFiles {
			l.closeIdleFile(s)
		}
	}
	s.users++
	s.lastUse = l.segs.uses.Add(1)
	return s.file, nil
}

func (l *Lane) doneFile(s *segment) {
	s.fileMu.Lock()
	defer s.fileMu.Unlock()
	s.users--
}

// closeIdleFile closes the sealed segment's file that has been unused for longest. The caller holds but's fileMu, where
// there is one; others are only tried, so no order among them matters.
func (l *Lane) closeIdleFile(but *segment) {
	var idle *segment
	oldest := uint64(math.MaxUint64)
	for _, s := range l.segs.all() {
		if s == but || s.foot.Load() == nil || !s.fileMu.TryLock() {
			continue
		}
		if s.file != nil && s.users == 0 && s.lastUse < oldest {
			idle, oldest = s, s.lastUse
		}
		s.fileMu.Unlock()
	}
	if idle == nil || !idle.fileMu.TryLock() {
		return
	}
	defer idle.fileMu.Unlock()
	if idle.file != nil && idle.users == 0 {
		_ = idle.closeFile() // only ever read from since its sync
		l.segs.open.Add(-1)
	}
}

// closeFile closes the file if it is open. The caller holds fileMu.
func (s *segment) closeFile() error {
	f := s.file
	s.file = nil
	if f == nil {
		return nil
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close segment %s: %w", s.name, err)
	}
	return nil
}

// releaseSegment gives back a reference. The last one of a trimmed segment removes it.
func (l *Lane) releaseSegment(s *segment) {
	if s.refs.Add(-1) > 0 {
		return
	}
	l.segs.mu.Lock()
	defer l.segs.mu.Unlock()
	if l.closed.Load() {
		return // Close closes files itself
	}
	if err := l.reapLocked(); err != nil && l.segs.reapErr == nil {
		l.segs.reapErr = err
	}
}
