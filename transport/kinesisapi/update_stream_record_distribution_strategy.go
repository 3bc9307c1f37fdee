package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// Record distribution strategies.
const (
	distributeAuto  = "AUTO"
	distributeByKey = "USER_PARTITION_KEY"
)

// UpdateStreamRecordDistributionStrategy says whether records are spread evenly over the shards or routed by their keys.
func (a *API) UpdateStreamRecordDistributionStrategy(c *awshttp.Call, in *UpdateStreamRecordDistributionStrategyInput) error {
	return a.do(c, "", in.StreamARN, func(s *engine.Stream) error {
		return s.SetDistribution(c.Context, in.RecordDistributionStrategy == distributeAuto)
	})
}
