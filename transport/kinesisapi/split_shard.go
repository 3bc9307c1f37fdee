package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// SplitShard divides an open shard in two at a hash key.
func (a *API) SplitShard(c *awshttp.Call, in *SplitShardInput) error {
	n, ids, err := shardNames(c, in.StreamName, in.StreamARN, in.ShardToSplit)
	if err != nil {
		return err
	}
	s, err := a.engine.Stream(n)
	if err != nil {
		return err
	}
	return s.Split(c.Context, ids[0], in.NewStartingHashKey)
}
