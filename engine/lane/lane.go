package lane

import (
	"context"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/internal/vfs"
)

// Level is how far an append must have come before it counts as done, and which watermark a reader sees up to.
type Level uint8

const (
	LevelDisk Level = iota // fdatasync returned: survives power loss. The default.
	LevelOS                // handed to the operating system: survives kill -9
	LevelMem               // in the ring
)

// Kind of appender a lane runs. Both give the same log.
type AppenderKind uint8

const (
	AppenderDefault  AppenderKind = iota // whichever measured better, see ARCHITECTURE.md
	AppenderLockFree                     // claim, copy, commit, publish
	AppenderMutex                        // reference and oracle
)

// Options configure a lane. The zero value of each field is its default.
type Options struct {
	FS          vfs.FS // nil: memory only, the ring is all there is
	Dir         string // where the segment files are; one lane per folder
	RingSize    int    // bytes, a power of two; default 64 MiB
	SegmentSize int64  // bytes of address space per segment file, a power of two >= RingSize; default 256 MiB
	Appender    AppenderKind
	// IndexCache bounds the memory of sealed segments' extents, in bytes; default 64 MiB.
	IndexCache int64
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

// Lane API contract (bodies to be written by the owner of this package).

func Open(o Options) (*Lane, error) { panic("BUG: contract") }

// Lane is one append-only address space shared by many shards.
type Lane struct{}

// Append copies b into the lane as the next batch of shard. b's client fields must have passed batch.Check; the
// server fields (position, kind, shard, appendMicros, durableHint, sums) are set in the lane's copy, b is not
// written to. It never blocks on a disk: ErrBusy when the ring is full, ErrStopped after a disk failure.
func (l *Lane) Append(shard uint32, b batch.Batch) (Ticket, error) { panic("BUG: contract") }

// Wait blocks until everything below end has reached level.
func (l *Lane) Wait(ctx context.Context, end uint64, level Level) error { panic("BUG: contract") }

// WaitSpace blocks until an Append of n bytes may succeed.
func (l *Lane) WaitSpace(ctx context.Context, n int) error { panic("BUG: contract") }

// Watermarks returns the three watermarks.
func (l *Lane) Watermarks() Watermarks { panic("BUG: contract") }

// Observe calls fn after each advance of a watermark that a group commit causes and once when the lane stops. fn runs on the
// committer's goroutines: it must not block. After stop returns fn is not called again.
func (l *Lane) Observe(fn func(Watermarks)) (stop func()) { panic("BUG: contract") }

// Err is nil, or why the lane takes no more appends.
func (l *Lane) Err() error { panic("BUG: contract") }

// Read appends whole stored batches of the query's shard to dst (commit word replaced by the plain position) and returns
// dst and the position to continue from. No batch visible: dst unchanged. ErrTrimmed never occurs: a From below the
// oldest kept batch starts at the oldest. Corruption is a *CorruptionError.
func (l *Lane) Read(dst []byte, q Query) ([]byte, uint64, error) { panic("BUG: contract") }

// Next returns the first visible extent of shard at or after from (or containing it), and its arrival time.
func (l *Lane) Next(shard uint32, from uint64, level Level) (e Extent, micros int64, ok bool, err error) {
	panic("BUG: contract")
}

// SeekTime returns the position of shard's first batch that arrived at or after micros; the published watermark where
// there is none.
func (l *Lane) SeekTime(shard uint32, micros int64) (uint64, error) { panic("BUG: contract") }

// Trim drops sealed segments that end at or below before and of which nobody can read any more.
func (l *Lane) Trim(before uint64) error { panic("BUG: contract") }

// Horizon is the oldest position still kept.
func (l *Lane) Horizon() uint64 { panic("BUG: contract") }

// Segments lists the segments, oldest first.
func (l *Lane) Segments() []SegmentInfo { panic("BUG: contract") }

// Close flushes, syncs, seals and releases. Idempotent.
func (l *Lane) Close() error { panic("BUG: contract") }
