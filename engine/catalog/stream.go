package catalog

import (
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// Name says which stream: AWS keeps streams apart by account and region, and so do we.
type Name struct{ Account, Region, Stream string }

// Compare orders names by account, region and stream.
func (n Name) Compare(o Name) int {
	return slices.Compare([]string{n.Account, n.Region, n.Stream}, []string{o.Account, o.Region, o.Stream})
}

// Status of a stream, in the words of the Kinesis API.
type Status string

const (
	Creating Status = "CREATING"
	Active   Status = "ACTIVE"
	Updating Status = "UPDATING"
	Deleting Status = "DELETING"
)

// StreamInfo is one stream as the catalog keeps it. Values handed out are snapshots: never written to again.
type StreamInfo struct {
	ID             uint32 // unique for ever in this catalog
	Name           Name
	Status         Status
	OnDemand       bool
	Routing        hashkey.Routing
	Durability     uint8 // lane.Level that the stream's appends and readers use
	RetentionHours int
	MaxRecordBytes int
	Created        time.Time
	Tags           map[string]string
	Shards         []ShardInfo // by Index, closed ones included until they expire; indexes may have gaps
	RouteEpoch     uint16      // grows with each change of the open shards
	NextIndex      uint32      // of the next shard made; higher than any shard's that ever was
	Settings       Settings
	Consumers      []ConsumerInfo // by Name; those on their way out included
}

// ShardInfo is one shard. Index is its number within the stream ("shardId-%012d"), ID its number in the lane.
type ShardInfo struct {
	Index          uint32
	ID             uint32
	Range          hashkey.Range
	Parent         int32 // Index of the parent, -1 for none
	AdjacentParent int32 // Index of the second parent of a merge, -1 for none
	CreatedSeconds int64
	ClosedSeconds  int64  // 0 while open
	Start          uint64 // lane positions [Start, End); End 0 while open
	End            uint64
}

// Open tells whether the shard takes appends.
func (s *ShardInfo) Open() bool { return s.ClosedSeconds == 0 }

// Shard returns the shard of that index, nil where there is none (any more). It aliases s.
func (s *StreamInfo) Shard(index uint32) *ShardInfo {
	i := sort.Search(len(s.Shards), func(i int) bool { return s.Shards[i].Index >= index })
	if i == len(s.Shards) || s.Shards[i].Index != index {
		return nil
	}
	return &s.Shards[i]
}

// ShardByID returns the shard with that number in the lane, nil where there is none (any more). It aliases s. Ids grow with
// indexes.
func (s *StreamInfo) ShardByID(id uint32) *ShardInfo {
	i := sort.Search(len(s.Shards), func(i int) bool { return s.Shards[i].ID >= id })
	if i == len(s.Shards) || s.Shards[i].ID != id {
		return nil
	}
	return &s.Shards[i]
}

// OpenShards counts the shards that take appends.
func (s *StreamInfo) OpenShards() int {
	n := 0
	for i := range s.Shards {
		if s.Shards[i].Open() {
			n++
		}
	}
	return n
}

// Children returns the shards that were made of the shard of that index. The slice is the caller's.
func (s *StreamInfo) Children(index uint32) []ShardInfo {
	var out []ShardInfo
	for i := range s.Shards {
		if sh := &s.Shards[i]; sh.Parent == int32(index) || sh.AdjacentParent == int32(index) {
			out = append(out, *sh)
		}
	}
	return out
}

// Clone is a copy that shares nothing with s: what the next version of a stream is made from.
func (s *StreamInfo) Clone() *StreamInfo {
	c := *s
	c.Tags = maps.Clone(s.Tags)
	c.Shards = slices.Clone(s.Shards)
	c.Settings = s.Settings.clone()
	c.Consumers = cloneConsumers(s.Consumers)
	return &c
}

// sameSettings tells whether s and o agree in everything but tags and shards.
func (s *StreamInfo) sameSettings(o *StreamInfo) bool {
	return s.ID == o.ID && s.Name == o.Name && s.Status == o.Status && s.OnDemand == o.OnDemand &&
		s.Routing == o.Routing && s.Durability == o.Durability && s.RetentionHours == o.RetentionHours &&
		s.MaxRecordBytes == o.MaxRecordBytes && s.Created.Equal(o.Created) && s.RouteEpoch == o.RouteEpoch &&
		s.NextIndex == o.NextIndex
}
