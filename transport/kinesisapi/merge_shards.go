package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// MergeShards makes one shard of two open neighbours.
func (a *API) MergeShards(c *awshttp.Call, in *MergeShardsInput) error {
	return a.do(c, in.StreamName, in.StreamARN, func(s *engine.Stream) error {
		return s.Merge(c.Context, in.ShardToMerge, in.AdjacentShardToMerge)
	})
}
