package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// UpdateShardCount brings a stream to a number of equal shards by splits and merges.
func (a *API) UpdateShardCount(c *awshttp.Call, in *UpdateShardCountInput) (*UpdateShardCountOutput, error) {
	s, n, err := a.stream(c, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	info := s.Info()
	if info.OnDemand {
		return nil, awshttp.Validation("Request is invalid. Stream " + n.Stream + " under account " + n.Account + " is in On-Demand mode.")
	}
	current, target := int64(openShards(info)), in.TargetShardCount
	if err := s.Reshard(c.Context, int(target)); err != nil {
		return nil, err
	}
	return &UpdateShardCountOutput{StreamName: n.Stream, StreamARN: arn(n), CurrentShardCount: &current, TargetShardCount: &target}, nil
}
