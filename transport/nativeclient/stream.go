package nativeclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/codec/hashkey"
)

// Level is how far a batch must have come before it is acknowledged. A stream's own durability is the least.
type Level uint8

const (
	LevelDisk Level = 0 // survives power loss
	LevelOS   Level = 1 // survives kill -9
	LevelMem  Level = 2 // in the server's memory
)

// Create says what to make where a stream is absent.
type Create struct {
	Shards  int
	Routing hashkey.Routing
	Level   Level // the stream's durability
}

// Shard is one shard of a stream. ID is its number in the log: what batches and Fetch name.
type Shard struct {
	Index, ID              uint32
	Open                   bool
	Range                  hashkey.Range
	Parent, AdjacentParent int32 // Index of a parent, -1 for none
}

// Stream is an opened stream. Its methods may be called concurrently.
type Stream struct {
	c      *Client
	name   string
	handle uint32
	routes atomic.Pointer[routes]
}

// routes is a stream's shard map at one time. It is never written to.
type routes struct {
	routing hashkey.Routing
	level   Level
	epoch   uint16
	shards  []Shard
	open    []Shard // by first hash key
}

// Open opens a stream of the server's default account and region. create: make it where it is absent; nil: ErrNotFound.
func (c *Client) Open(ctx context.Context, stream string, create *Create) (*Stream, error) {
	s := &Stream{c: c, name: stream}
	if err := s.refresh(ctx, create); err != nil {
		return nil, fmt.Errorf("open stream %s: %w", stream, err)
	}
	return s, nil
}

// Refresh asks for the stream's shards again, after a split or merge.
func (s *Stream) Refresh(ctx context.Context) error {
	if err := s.refresh(ctx, nil); err != nil {
		return fmt.Errorf("refresh stream %s: %w", s.name, err)
	}
	return nil
}

func (s *Stream) refresh(ctx context.Context, create *Create) error {
	o := frame.Open{Stream: []byte(s.name)}
	if len(s.name) > frame.MaxStreamName {
		return errors.New("stream name is too long")
	}
	if create != nil {
		if create.Shards < 1 || create.Shards > frame.MaxCreateShards {
			return fmt.Errorf("cannot create %d shards", create.Shards)
		}
		o.Create, o.Shards, o.Routing, o.Durability = true, uint32(create.Shards), create.Routing, uint8(create.Level)
	}
	cl, err := s.c.do(ctx, frame.OpOpen, func(dst []byte, corr uint32) []byte { return frame.AppendOpen(dst, corr, &o) })
	if err != nil {
		return err
	}
	defer s.c.freeCall(cl)
	if len(cl.shards) != int(cl.opened.Total) || s.handle != 0 && s.handle != cl.handle {
		// A stream that was deleted and made again is another stream.
		return &ServerError{Code: frame.CodeNotFound, Message: "the stream is not the one that was opened"}
	}
	s.handle = cl.handle
	r := &routes{routing: cl.opened.Routing, level: Level(cl.opened.Durability), epoch: cl.opened.RouteEpoch, shards: cl.shards}
	for _, sh := range r.shards {
		if sh.Open {
			r.open = append(r.open, sh)
		}
	}
	slices.SortFunc(r.open, func(a, b Shard) int { return a.Range.First.Compare(b.Range.First) })
	s.routes.Store(r)
	return nil
}

// Name is the stream's name.
func (s *Stream) Name() string { return s.name }

// Shards returns all shards known, closed ones included, by index. The slice is the caller's.
func (s *Stream) Shards() []Shard { return slices.Clone(s.routes.Load().shards) }

// Routing is how the stream turns partition keys into hash keys.
func (s *Stream) Routing() hashkey.Routing { return s.routes.Load().routing }

// Level is the stream's durability: the least that an acknowledgement means, and what its readers see.
func (s *Stream) Level() Level { return s.routes.Load().level }

// RouteEpoch is the version of the shard map, for batch.BuildOptions.
func (s *Stream) RouteEpoch() uint16 { return s.routes.Load().epoch }

// ShardFor is the open shard that takes a partition key; the zero Shard, not Open, where there is none. It does not
// allocate.
func (s *Stream) ShardFor(key []byte) Shard {
	if sh := s.routes.Load().find(key); sh != nil {
		return *sh
	}
	return Shard{}
}

func (r *routes) find(key []byte) *Shard {
	if len(r.open) == 1 {
		return &r.open[0]
	}
	k := r.routing.Of(key)
	i := sort.Search(len(r.open), func(i int) bool { return r.open[i].Range.First.Compare(k) > 0 }) - 1
	if i < 0 || !r.open[i].Range.Contains(k) {
		return nil
	}
	return &r.open[i]
}
