// Package lane is the log: one append-only address space shared by many shards, with a ring in memory, segment files on
// disk and three watermarks, published >= written >= durable.
//
// A Lane takes batches (Append), says when they are safe (Wait, Observe), and gives them back by shard and position
// (Read, Next, SeekTime). A position is a byte address; it is never given out twice, not even after a crash. Trim drops
// the oldest segments.
//
// The way of a batch: appender.go claims an address, copies, commits and publishes; committer.go writes the ring to the
// segment file and syncs it; roller.go makes the next segment before it is needed and seals full ones; index.go knows
// where each shard's batches lie; reader.go finds and copies them, from the ring under a pin (pins.go) or from the file;
// recovery.go puts it all together again after a crash.
//
// Bytes written: segment files (format.go, footer.go) made of batches (codec/batch).
package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/internal/vfs"
)

// Level is how far an append must have come before it counts as done, and which watermark a reader sees up to.
type Level uint8

const (
	LevelDisk Level = iota // fdatasync returned: survives power loss. The default.
	LevelOS                // handed to the operating system: survives kill -9
	LevelMem               // in the ring

	levels = 3
)

// AppenderKind says which appender a lane runs. Both give the same log.
type AppenderKind uint8

const (
	AppenderDefault  AppenderKind = iota // whichever measured better, see ARCHITECTURE.md
	AppenderLockFree                     // claim, copy, commit, publish
	AppenderMutex                        // reference and oracle
)

// MaxShards bounds shard ids: a lane's shards are numbered below it.
const MaxShards = idsPerPage * idPages

// Defaults of Options.
const (
	DefaultRingSize    = 64 << 20
	DefaultSegmentSize = 256 << 20
	DefaultIndexCache  = 64 << 20
)

// Options configure a lane. The zero value of each field is its default.
type Options struct {
	FS          vfs.FS // nil: memory only, the ring is all there is
	Dir         string // where the segment files are; one lane per folder
	RingSize    int    // bytes, a power of two from 4 KiB; default 64 MiB
	SegmentSize int64  // bytes of address space per segment file, a power of two >= RingSize; default 256 MiB
	Appender    AppenderKind
	// IndexCache bounds the memory of sealed segments' extents, in bytes; default 64 MiB.
	IndexCache int64
}

func (o *Options) setDefaults() {
	if o.RingSize == 0 {
		o.RingSize = DefaultRingSize
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = max(DefaultSegmentSize, int64(o.RingSize))
	}
	if o.IndexCache == 0 {
		o.IndexCache = DefaultIndexCache
	}
	if o.Appender == AppenderDefault {
		o.Appender = AppenderLockFree // 5 to 10 % ahead with one producer, more with several
	}
}

// Validate says what is wrong with o, as ErrInvalid.
func (o *Options) Validate() error {
	d := *o
	d.setDefaults()
	switch {
	case d.Appender > AppenderMutex:
		return fmt.Errorf("%w: appender kind %d", ErrInvalid, d.Appender)
	case d.RingSize < 0 || d.SegmentSize < 0 || d.IndexCache < 0:
		return fmt.Errorf("%w: negative size", ErrInvalid)
	case d.FS != nil && d.Dir == "":
		return fmt.Errorf("%w: no folder", ErrInvalid)
	}
	return checkSizes(uint64(d.RingSize), uint64(d.SegmentSize))
}

// Watermarks are positions: published >= written >= durable. Everything below a watermark has reached its state.
type Watermarks struct{ Published, Written, Durable uint64 }

// Ticket is what an append returns: the batch lies at [Position, End) and arrived at Micros.
type Ticket struct {
	Position uint64
	End      uint64
	Micros   int64
}

// Extent is where one batch of a shard lies.
type Extent struct {
	Position uint64
	Len      int
	Records  int
}

// Query asks for the stored batches of one shard.
type Query struct {
	Shard    uint32
	From     uint64 // position; the batch that contains it is the first returned
	MaxBytes int    // stop before exceeding this many bytes, but return at least one batch where there is one
	Level    Level  // which watermark bounds what is visible
}

// SegmentInfo describes one segment file, oldest first in Segments.
type SegmentInfo struct {
	Base, End               uint64 // positions [Base, End)
	Bytes                   int64  // size on disk
	FirstMicros, LastMicros int64  // arrival of the first and last batch; 0 where it has none
	Sealed                  bool
}

// Lane is one append-only address space shared by many shards. All methods may be called concurrently.
//
// The fields up to limit are the hot ones, 128 bytes apart: see appender.go for tail and head, pins.go for
// cut and limit.
type Lane struct {
	tail    atomic.Uint64 // next position to claim; bit 0 set: no more claims
	_       pad
	head    atomic.Uint64 // published watermark; bits 0 and 1: the publisher's role
	_       pad
	written atomic.Uint64
	_       pad
	durable atomic.Uint64
	_       pad
	limit   atomic.Uint64 // no claim may end above
	cut     atomic.Uint64 // no reader may read the ring below
	_       pad

	ring   *ring
	key    uint64
	clock  *clock
	append appender
	_      pad
	// publishing is the index's writing end. Only whoever holds the publisher's role touches it.
	publishing publishing
	_          pad

	pins  pins
	space space

	opts    Options
	id      [laneIDLen]byte
	unlock  func() error
	segs    segments
	cache   *indexCache
	waiters waiters
	stopped atomic.Pointer[error] // why there are no more appends
	broken  atomic.Bool           // a disk error stopped the lane: nothing is written any more

	flusher, syncer, preparer, sealer worker
	demand                            atomic.Uint64 // somebody waits for durability up to here
	prepared                          atomic.Uint64 // the segment files up to here are durably there

	closeOnce sync.Once
	closeErr  error
	closed    atomic.Bool // nothing is read any more either
}

// Open recovers the lane in o.Dir, or makes a new one, and starts it. Errors: ErrInvalid, vfs.ErrLocked where another
// process has it open, ErrVersion, a *CorruptionError, or the disk's own.
func Open(o Options) (*Lane, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	if !littleEndian() {
		return nil, fmt.Errorf("%w: big-endian machines are not supported", ErrInvalid)
	}
	l := &Lane{opts: o, key: newKey()}
	l.cache = newIndexCache(o.IndexCache)
	l.waiters.init()
	l.initWorkers()
	r, err := newRing(o.RingSize)
	if err != nil {
		return nil, err
	}
	freeWithLane(l, r)
	if err := l.recover(); err != nil {
		r.release()
		return nil, errors.Join(fmt.Errorf("open lane %q: %w", o.Dir, err), l.releaseFiles())
	}
	l.ring = r
	if o.Appender == AppenderMutex {
		l.append = &mutexAppender{lane: l}
	} else {
		l.append = &lockFreeAppender{lane: l}
	}
	l.space.raise(l, l.published())
	l.startWorkers()
	return l, nil
}

// Append copies b into the lane as the next batch of shard. b's client fields must have passed batch.Check; the
// server fields (position, kind, shard, appendMicros, durableHint, sums) are set in the lane's copy, b is not
// written to and stays the caller's. It never blocks on a disk: ErrBusy when the ring is full, ErrStopped after a disk
// failure, ErrClosed, ErrTooLarge, ErrInvalid.
func (l *Lane) Append(shard uint32, b batch.Batch) (Ticket, error) {
	if len(b) < batch.HeaderLen || shard >= MaxShards {
		return Ticket{}, fmt.Errorf("%w: shard %d, batch of %d bytes", ErrInvalid, shard, len(b))
	}
	n := batch.PaddedLen(b.BodyLen(), b.Records())
	if n > len(b) {
		return Ticket{}, fmt.Errorf("%w: batch of %d bytes says %d", ErrInvalid, len(b), n)
	}
	if n > l.opts.RingSize/4 || n > batch.MaxLen {
		return Ticket{}, ErrTooLarge
	}
	return l.append.append(shard, b[:n:n])
}

// Watermarks returns the three watermarks.
func (l *Lane) Watermarks() Watermarks {
	// Lowest first: each only grows, so the order between them holds whatever happens in between.
	d := l.watermark(LevelDisk)
	w := l.watermark(LevelOS)
	return Watermarks{Published: l.published(), Written: w, Durable: d}
}

// published is the published watermark.
func (l *Lane) published() uint64 { return l.head.Load() &^ (headBusy | headMore) }

// watermark is how far level has come. Without files everything published has come as far as it ever will.
func (l *Lane) watermark(level Level) uint64 {
	switch {
	case level == LevelMem || l.opts.FS == nil:
		return l.published()
	case level == LevelOS:
		return l.written.Load()
	}
	return l.durable.Load()
}

// Wait blocks until everything below end has reached level, ctx is done, or the lane has stopped or closed without
// getting there. Thousands may wait at a time; it costs no goroutine.
func (l *Lane) Wait(ctx context.Context, end uint64, level Level) error {
	if level >= levels {
		return fmt.Errorf("%w: level %d", ErrInvalid, level)
	}
	if l.watermark(level) >= end {
		return nil
	}
	return l.waiters.wait(ctx, l, end, level)
}

// Want says that somebody needs everything below end to reach level and will learn of it through Observe. It returns at
// once. Durability is the only level that must be wanted: a lane syncs at once for those who Want or Wait for
// LevelDisk, and within lazySync otherwise.
func (l *Lane) Want(end uint64, level Level) {
	if level == LevelDisk && l.opts.FS != nil {
		l.want(end)
	}
}

// WaitSpace blocks until an Append of n bytes may succeed. Those who wait go in turn; another append may still be faster.
func (l *Lane) WaitSpace(ctx context.Context, n int) error {
	if n < 0 || n > l.opts.RingSize/4 || n > batch.MaxLen {
		return ErrTooLarge
	}
	return l.space.wait(ctx, l, uint64(n))
}

// Observe calls fn after each advance of a watermark that a group commit causes and once when the lane stops; without
// files, soon after batches were published. fn runs on the committer's goroutines, on two of them at a time: it must not
// block, and must not call stop. After stop returns fn is not called again.
func (l *Lane) Observe(fn func(Watermarks)) (stop func()) {
	stop = l.waiters.observe(fn)
	l.flusher.poke() // it may be asleep to publications nobody wanted to hear of
	return stop
}

// Err is nil, or why the lane takes no more appends: ErrStopped with the cause, or ErrClosed.
func (l *Lane) Err() error {
	if p := l.stopped.Load(); p != nil {
		return *p
	}
	return nil
}

// stop makes the lane refuse appends for good and tells everybody. The first cause stays.
func (l *Lane) stop(cause error) {
	err := fmt.Errorf("%w: %w", ErrStopped, cause)
	if l.broken.Swap(true) {
		return
	}
	l.stopped.Store(&err) // also in place of ErrClosed: Close returns it
	l.tail.Or(tailClosed)
	l.waiters.fail(err)
	l.space.fail()
	l.waiters.announce(l)
	for _, w := range []*worker{&l.flusher, &l.syncer, &l.preparer, &l.sealer} {
		w.poke()
	}
}
