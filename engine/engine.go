package engine

import (
	"context"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine/catalog"
	"github.com/shardmill/shardmill/engine/lane"
	"github.com/shardmill/shardmill/internal/vfs"
)

// Words that callers of the engine use; the parts they come from stay the engine's own business.
type (
	Name       = catalog.Name
	StreamInfo = catalog.StreamInfo
	ShardInfo  = catalog.ShardInfo
	Level      = lane.Level
	Ticket     = lane.Ticket
	Watermarks = lane.Watermarks
)

const (
	LevelDisk = lane.LevelDisk
	LevelOS   = lane.LevelOS
	LevelMem  = lane.LevelMem
)

// Options configure an engine. The zero value of each field is its default.
type Options struct {
	FS          vfs.FS // nil: everything in memory, bounded by the ring
	Dir         string
	Durability  Level // of streams that do not say
	RingSize    int
	SegmentSize int64
	Appender    lane.AppenderKind
	ShardLimit  int           // open shards per account and region; default 20000
	Transition  time.Duration // how long CREATING, UPDATING and DELETING last; default 0: at once
	Account     string        // of names that carry none; default 000000000000
	Region      string        // likewise; default us-east-1
}

// Code classes an Error; transports map it to their own wire form.
type Code uint8

const (
	CodeInternal Code = iota
	CodeInvalidArgument
	CodeValidation
	CodeNotFound
	CodeInUse
	CodeLimitExceeded
	CodeThrottled // over a shard's quota, or the ring is full
	CodeExpiredIterator
	CodeExpiredToken
	CodeStopped // the log takes no more appends: a disk failed
	CodeStaleRoute
)

// Error is every error of the engine that a client may see. Message is in the words of the Kinesis API.
type Error struct {
	Code    Code
	Message string
}

func (e *Error) Error() string { return e.Message }

// CreateStream says what to create.
type CreateStream struct {
	Name           Name
	Shards         int
	OnDemand       bool
	Routing        hashkey.Routing
	Durability     *Level // nil: the engine's default
	MaxRecordBytes int    // 0: 1 MiB
	Tags           map[string]string
}

// Record is one record to append. The slices stay the caller's; they are read before Append returns.
type Record struct {
	Key      []byte
	Data     []byte
	Explicit *hashkey.Key // routes instead of the hash of Key
}

// Appended tells where a record went, or why it did not.
type Appended struct {
	Shard    uint32 // index in the stream
	Sequence Sequence
	Err      *Error // nil: appended and at the asked level
}

// Sequence is what a 56-digit sequence number says; see codec/sequence for its decimal form.
type Sequence struct {
	ShardCreated int64 // seconds
	Shard        uint32
	Position     uint64
	Seconds      int64
}

// ReadRecord is one record as a reader gets it. Key and Data alias the result's buffer.
type ReadRecord struct {
	Sequence Sequence
	Key      []byte
	Data     []byte
	Arrival  time.Time
}

// IteratorType is one of the five of GetShardIterator.
type IteratorType string

const (
	AtSequence    IteratorType = "AT_SEQUENCE_NUMBER"
	AfterSequence IteratorType = "AFTER_SEQUENCE_NUMBER"
	TrimHorizon   IteratorType = "TRIM_HORIZON"
	Latest        IteratorType = "LATEST"
	AtTimestamp   IteratorType = "AT_TIMESTAMP"
)

// Page is one answer of Records.
type Page struct {
	Records      []ReadRecord
	Next         string // token; empty at the end of a closed, drained shard
	Children     []ShardInfo
	MillisBehind int64
	buf          []byte
}

// The contract of the engine (bodies to be written by the owner of this package).

type Engine struct{}

func Open(o Options) (*Engine, error)                                         { panic("BUG: contract") }
func (e *Engine) Close() error                                                { panic("BUG: contract") }
func (e *Engine) Err() error                                                  { panic("BUG: contract") }
func (e *Engine) CreateStream(ctx context.Context, c CreateStream) error      { panic("BUG: contract") }
func (e *Engine) DeleteStream(ctx context.Context, n Name) error              { panic("BUG: contract") }
func (e *Engine) Stream(n Name) (*Stream, error)                              { panic("BUG: contract") }
func (e *Engine) Streams(account, region string) []*StreamInfo                { panic("BUG: contract") } // by name
func (e *Engine) ShardUse(account, region string) (open, limit, onDemand int) { panic("BUG: contract") }
func (e *Engine) Observe(fn func(Watermarks)) (stop func())                   { panic("BUG: contract") }
func (e *Engine) Watermarks() Watermarks                                      { panic("BUG: contract") }
func (e *Engine) Wait(ctx context.Context, end uint64, level Level) error     { panic("BUG: contract") }
func (e *Engine) Defaults() (account, region string)                          { panic("BUG: contract") }

// Stream is a handle; it stays valid, and answers CodeNotFound, after the stream is gone.
type Stream struct{}

func (s *Stream) Info() *StreamInfo { panic("BUG: contract") } // current snapshot, never nil

// Append routes each record, appends, waits for the level (raised to the stream's own), and fills out, one per record, same order.
// A non-nil error means nothing was appended.
func (s *Stream) Append(ctx context.Context, recs []Record, level Level, out []Appended) error {
	panic("BUG: contract")
}

// AppendBatch appends a ready-made batch that passed batch.Check to the open shard whose lane id it names. It never blocks and
// allocates nothing; the caller waits through Observe.
func (s *Stream) AppendBatch(b batch.Batch) (Ticket, error) { panic("BUG: contract") }

// ReadBatches appends stored batches of a shard (lane id) from a position to dst; see lane.Read. end is true when the
// shard is closed and drained.
func (s *Stream) ReadBatches(dst []byte, shard uint32, from uint64, maxBytes int) (out []byte, next uint64, end bool, err error) {
	panic("BUG: contract")
}

// Seek returns the position an iterator type stands for on a shard (lane id). seq is for the sequence types, t for AtTimestamp.
func (s *Stream) Seek(shard uint32, typ IteratorType, seq uint64, t time.Time) (uint64, error) {
	panic("BUG: contract")
}

// Iterator makes the token GetShardIterator returns. sequence is the decimal form, empty where not given.
func (s *Stream) Iterator(shardID string, typ IteratorType, sequence string, t *time.Time) (string, error) {
	panic("BUG: contract")
}

// Records answers GetRecords for a token of any stream.
func (e *Engine) Records(ctx context.Context, token string, limit int) (*Page, error) {
	panic("BUG: contract")
}

func (p *Page) Release() { panic("BUG: contract") } // gives the buffers back

func (s *Stream) Split(ctx context.Context, shardID, newStartingHashKey string) error {
	panic("BUG: contract")
}
func (s *Stream) Merge(ctx context.Context, left, right string) error { panic("BUG: contract") }
func (s *Stream) Reshard(ctx context.Context, target int) error       { panic("BUG: contract") } // UpdateShardCount
func (s *Stream) SetRetention(ctx context.Context, hours int, increase bool) error {
	panic("BUG: contract")
}
func (s *Stream) SetTags(ctx context.Context, add map[string]string, remove []string) error {
	panic("BUG: contract")
}
