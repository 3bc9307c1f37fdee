package kinesisapi

import (
	"strings"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// onDemandShards is how many shards an on-demand stream starts with.
const onDemandShards = 4

// Reserved tags say at creation what the API has no field for. They are settings, not tags: never listed, never changed.
const (
	reservedPrefix = "shardmill:"
	durabilityTag  = reservedPrefix + "durability" // mem, os or disk
	routingTag     = reservedPrefix + "routing"    // md5 or xxhash
)

// CreateStream makes a stream, provisioned or on-demand.
func (a *API) CreateStream(c *awshttp.Call, in *CreateStreamInput) error {
	cs := engine.CreateStream{
		Name:   engine.Name{Account: c.Account, Region: c.Region, Stream: in.StreamName},
		Shards: onDemandShards,
	}
	cs.OnDemand = in.StreamModeDetails != nil && in.StreamModeDetails.StreamMode == onDemand
	switch {
	case !cs.OnDemand && in.ShardCount == nil:
		return awshttp.Validation("1 validation error detected: Value null at 'shardCount' failed to satisfy constraint: Member must not be null")
	case cs.OnDemand && in.ShardCount != nil:
		return awshttp.Validation("Requested ShardCount is not applicable to a stream in On-Demand mode.")
	case !cs.OnDemand:
		cs.Shards = int(*in.ShardCount)
	}
	cs.Auto = in.RecordDistributionStrategy == distributeAuto
	if in.WarmThroughputMiBps != nil {
		cs.WarmMiBps = int(*in.WarmThroughputMiBps)
	}
	if in.MaxRecordSizeInKiB != nil {
		cs.MaxRecordBytes = int(*in.MaxRecordSizeInKiB) << 10
	}
	if err := settings(&cs, in.Tags); err != nil {
		return err
	}
	return a.engine.CreateStream(c.Context, cs)
}

// settings takes the reserved tags out of tags and gives their meaning and the other tags to cs.
func settings(cs *engine.CreateStream, tags map[string]string) error {
	for k, v := range tags {
		if !strings.HasPrefix(k, reservedPrefix) {
			if cs.Tags == nil {
				cs.Tags = make(map[string]string, len(tags))
			}
			cs.Tags[k] = v
			continue
		}
		switch {
		case k == durabilityTag:
			level, ok := levelOf(v)
			if !ok {
				return awshttp.Validation("Tag " + k + " must be one of mem, os, disk. Specified value was " + v)
			}
			cs.Durability = &level
		case k == routingTag && v == "md5":
			cs.Routing = hashkey.MD5
		case k == routingTag && v == "xxhash":
			cs.Routing = hashkey.XXH64
		case k == routingTag:
			return awshttp.Validation("Tag " + k + " must be one of md5, xxhash. Specified value was " + v)
		default:
			return awshttp.Validation("Tag " + k + " is not known. Reserved tags are " + durabilityTag + " and " + routingTag + ".")
		}
	}
	return nil
}

func levelOf(name string) (engine.Level, bool) {
	switch name {
	case "mem":
		return engine.LevelMem, true
	case "os":
		return engine.LevelOS, true
	case "disk":
		return engine.LevelDisk, true
	}
	return 0, false
}
