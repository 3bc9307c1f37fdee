package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// MergeShards makes one shard of two open neighbours.
func (a *API) MergeShards(c *awshttp.Call, in *MergeShardsInput) error {
	n, ids, err := shardNames(c, in.StreamName, in.StreamARN, in.ShardToMerge, in.AdjacentShardToMerge)
	if err != nil {
		return err
	}
	s, err := a.engine.Stream(n)
	if err != nil {
		return err
	}
	return s.Merge(c.Context, ids[0], ids[1])
}
