package engine

import (
	"context"
	"maps"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine/catalog"
	"github.com/shardmill/shardmill/engine/lane"
)

const (
	// DefaultRecordBytes and MaxRecordBytes bound data and key of a record: what AWS gives and what it can be raised to.
	DefaultRecordBytes = 1 << 20
	MaxRecordBytes     = 10 << 20

	// onDemandShards is how many shards AWS gives an on-demand stream at birth.
	onDemandShards = 4
	// creationHead is how far before now AWS dates a new stream's shards, in seconds. It keeps a stream's first sequence
	// numbers above its StartingSequenceNumber.
	creationHead = 2

	maxLaneShards = lane.MaxShards
	// appendLimit is the longest batch the server builds of ordinary records. Longer ones would make reading a few of
	// their records costly, shorter ones gain nothing.
	appendLimit = batch.DefaultMaxLen + 64<<10
)

// CreateStream says what to create.
type CreateStream struct {
	Name           Name
	Shards         int // ignored where OnDemand
	OnDemand       bool
	Routing        hashkey.Routing
	Durability     *Level // nil: the engine's default
	MaxRecordBytes int    // 0: 1 MiB
	Auto           bool   // spread records over the shards whatever their keys; on demand only
	WarmMiBps      int    // warm throughput, MiB/s; on demand and committed accounts only
	Tags           map[string]string
}

// CreateStream makes a stream and returns when that is durable. With Options.Transition it is CREATING for that long.
// Errors: CodeInUse where the name is taken, CodeLimitExceeded, CodeInvalidArgument, CodeStopped.
//
// Not implemented: the five-per-second limit.
func (e *Engine) CreateStream(_ context.Context, c CreateStream) error {
	info, err := e.newInfo(c)
	if err != nil {
		return err
	}
	e.create.Lock()
	defer e.create.Unlock()
	if err := e.failed.Load(); err != nil {
		return err
	}
	if _, taken := e.names.Load(info.Name); taken {
		return alreadyExists(info.Name)
	}
	if err := e.limits.reserveStream(info); err != nil {
		return err
	}
	if err := e.makeStream(info); err != nil {
		e.limits.releaseStream(info)
		return err
	}
	return nil
}

// makeStream numbers the stream and its shards, commits it and brings it to life.
func (e *Engine) makeStream(info *StreamInfo) *Error {
	info.ID = e.cat.ReserveStream()
	first, err := e.reserveShards(len(info.Shards))
	if err != nil {
		return err
	}
	start := e.lane.Watermarks().Published
	for i := range info.Shards {
		info.Shards[i].ID = first + uint32(i)
		info.Shards[i].Start = start
	}
	if err := e.cat.Put(info); err != nil {
		if e.cat.Err() != nil {
			e.fail(catalogError(err))
		}
		return catalogError(err)
	}
	s := e.newStream(info)
	e.names.Store(info.Name, s)
	if info.Status == catalog.Creating {
		e.due.add(e.transitionEnd(), s, catalog.Active)
	}
	return nil
}

// newInfo is the stream that c asks for, without ids.
func (e *Engine) newInfo(c CreateStream) (*StreamInfo, error) {
	shards, now := c.Shards, time.Now()
	if c.OnDemand {
		shards = onDemandShards
	}
	if c.MaxRecordBytes == 0 {
		c.MaxRecordBytes = DefaultRecordBytes
	}
	name := e.name(c.Name)
	switch {
	case name.Stream == "":
		return nil, newError(CodeInvalidArgument, "StreamName must not be empty.")
	case shards < 1:
		return nil, newError(CodeInvalidArgument, "ShardCount must be at least 1. Specified value was %d", shards)
	case c.MaxRecordBytes < DefaultRecordBytes || c.MaxRecordBytes > MaxRecordBytes:
		return nil, newError(CodeInvalidArgument, "MaxRecordSizeInKiB must be in the range: [%d, %d]. Specified value was %d",
			DefaultRecordBytes>>10, MaxRecordBytes>>10, c.MaxRecordBytes>>10)
	case c.Routing > hashkey.XXH64:
		return nil, newError(CodeInvalidArgument, "Unknown routing %d", c.Routing)
	case c.Durability != nil && *c.Durability > LevelMem:
		return nil, newError(CodeInvalidArgument, "Unknown durability %d", *c.Durability)
	}
	if err := checkNewTags(name, c.Tags); err != nil {
		return nil, err
	}
	if c.Auto && !c.OnDemand {
		return nil, autoProvisioned(name)
	}
	if c.WarmMiBps != 0 {
		if err := e.checkWarm(name, c.OnDemand, c.WarmMiBps); err != nil {
			return nil, err
		}
	}
	// Before any shard is made: a count far over the limit must not cost its memory.
	if open, _ := e.limits.use(name); open+shards > e.o.ShardLimit {
		if _, taken := e.names.Load(name); taken {
			return nil, alreadyExists(name)
		}
		return nil, shardLimitError(name, open, e.o.ShardLimit, shards)
	}
	info := &StreamInfo{
		Name: name, Status: catalog.Active, OnDemand: c.OnDemand, Routing: c.Routing, Durability: uint8(e.o.Durability),
		RetentionHours: minRetention, MaxRecordBytes: c.MaxRecordBytes, Created: now, Tags: maps.Clone(c.Tags),
		RouteEpoch: 1, NextIndex: uint32(shards), Settings: Settings{Auto: c.Auto, WarmMiBps: c.WarmMiBps},
	}
	if c.Durability != nil {
		info.Durability = uint8(*c.Durability)
	}
	if e.o.Transition > 0 {
		info.Status = catalog.Creating
	}
	for i, r := range hashkey.Even(shards) {
		info.Shards = append(info.Shards, ShardInfo{
			Index: uint32(i), Range: r, Parent: -1, AdjacentParent: -1, CreatedSeconds: now.Unix() - creationHead,
		})
	}
	return info, nil
}

// reserveShards returns the first of n shard numbers of the lane.
func (e *Engine) reserveShards(n int) (uint32, *Error) {
	first := e.cat.ReserveShards(n)
	if uint64(first)+uint64(n) > maxLaneShards {
		return 0, newError(CodeLimitExceeded, "The data folder has used up its %d shard numbers. Move to a new data folder.", maxLaneShards)
	}
	return first, nil
}
