package kinesisapi

import (
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/codec/sequence"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// Words of the API.
const (
	provisioned = "PROVISIONED"
	onDemand    = "ON_DEMAND"

	creating = "CREATING"
	deleting = "DELETING"
)

const shardPrefix = "shardId-"

// shardID is the name of the shard with an index.
func shardID(index uint32) string { return string(appendShardID(nil, index)) }

// appendShardID writes "shardId-" and twelve digits.
func appendShardID(dst []byte, index uint32) []byte {
	dst = append(dst, shardPrefix+"000000000000"...)
	for i := len(dst) - 1; index > 0; i-- {
		dst[i] = byte('0' + index%10)
		index /= 10
	}
	return dst
}

// shardIndex reads a shard id, which may be shortened to any prefix, a hyphen and a number, or to the number.
func shardIndex(id string, n engine.Name) (int64, error) {
	digits := id
	if parts := strings.Split(id, "-"); len(parts) > 1 && parts[1] != "" {
		digits = parts[1]
	}
	if index, err := strconv.ParseUint(digits, 10, 31); err == nil && digits[0] != '+' {
		return int64(index), nil
	}
	return 0, notFound("Could not find shard " + id + " in stream " + n.Stream + " under account " + n.Account + ".")
}

// shardNames resolves a stream's name and shard ids given with it. The API looks at shard ids before it looks for the
// stream.
func shardNames(c *awshttp.Call, name, arn string, ids ...string) (n engine.Name, full []string, err error) {
	if n, err = streamName(c, name, arn); err != nil {
		return n, nil, err
	}
	for _, id := range ids {
		index, err := shardIndex(id, n)
		if err != nil {
			return n, nil, err
		}
		full = append(full, shardID(uint32(index)))
	}
	return n, full, nil
}

func shardMissing(id string, n engine.Name) error {
	return notFound("Shard " + id + " in stream " + n.Stream + " under account " + n.Account + " does not exist")
}

// shardOf is a shard as the API shows it.
func shardOf(s *engine.ShardInfo) Shard {
	out := Shard{
		ShardId:      shardID(s.Index),
		HashKeyRange: rangeOf(s.Range),
		SequenceNumberRange: SequenceNumberRange{
			StartingSequenceNumber: sequence.Start(s.CreatedSeconds, s.Index).String(),
		},
	}
	if s.Parent >= 0 {
		out.ParentShardId = shardID(uint32(s.Parent))
	}
	if s.AdjacentParent >= 0 {
		out.AdjacentParentShardId = shardID(uint32(s.AdjacentParent))
	}
	if !s.Open() {
		out.SequenceNumberRange.EndingSequenceNumber = sequence.End(s.CreatedSeconds, s.Index, s.ClosedSeconds).String()
	}
	return out
}

func rangeOf(r hashkey.Range) HashKeyRange {
	return HashKeyRange{StartingHashKey: r.First.String(), EndingHashKey: r.Last.String()}
}

// childOf is a shard as its parents' readers are told of it.
func childOf(s *engine.ShardInfo) ChildShard {
	out := ChildShard{ShardId: shardID(s.Index), HashKeyRange: rangeOf(s.Range), ParentShards: []string{}}
	for _, p := range [...]int32{s.Parent, s.AdjacentParent} {
		if p >= 0 {
			out.ParentShards = append(out.ParentShards, shardID(uint32(p)))
		}
	}
	return out
}

func openShards(info *engine.StreamInfo) int {
	n := 0
	for i := range info.Shards {
		if info.Shards[i].Open() {
			n++
		}
	}
	return n
}

func mode(info *engine.StreamInfo) *StreamModeDetails {
	if info.OnDemand {
		return &StreamModeDetails{StreamMode: onDemand}
	}
	return &StreamModeDetails{StreamMode: provisioned}
}

// extend adds the settings that the API has no field for, where they are not the default.
func extend(v *awshttp.Value, info *engine.StreamInfo) {
	switch engine.Level(info.Durability) {
	case engine.LevelOS:
		v.Put("ShardmillDurability", awshttp.StringValue("os"))
	case engine.LevelMem:
		v.Put("ShardmillDurability", awshttp.StringValue("mem"))
	case engine.LevelDisk:
	}
	if info.Routing == hashkey.XXH64 {
		v.Put("ShardmillRouting", awshttp.StringValue("xxhash"))
	}
}
