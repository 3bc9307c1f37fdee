package catalog

import (
	"time"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// Name says which stream: AWS keeps streams apart by account and region, and so do we.
type Name struct{ Account, Region, Stream string }

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
	Shards         []ShardInfo // by Index, closed ones included until they expire
	RouteEpoch     uint16      // grows with each change of the open shards
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
