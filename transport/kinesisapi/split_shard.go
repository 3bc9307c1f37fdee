package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// SplitShard divides an open shard in two at a hash key.
func (a *API) SplitShard(c *awshttp.Call, in *SplitShardInput) error {
	return a.do(c, in.StreamName, in.StreamARN, func(s *engine.Stream) error {
		return s.Split(c.Context, in.ShardToSplit, in.NewStartingHashKey)
	})
}
