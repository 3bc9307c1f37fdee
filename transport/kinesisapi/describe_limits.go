package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// onDemandLimit is how many on-demand streams AWS allows an account.
const onDemandLimit = 50

// DescribeLimits tells the shard limit of the account and how much of it is used.
func (a *API) DescribeLimits(c *awshttp.Call, _ *DescribeLimitsInput) (*DescribeLimitsOutput, error) {
	open, limit, onDemandStreams := a.engine.ShardUse(c.Account, c.Region)
	none := int64(0) // channels are not served
	return &DescribeLimitsOutput{
		ShardLimit: int64(limit), OpenShardCount: int64(open),
		OnDemandStreamCount: int64(onDemandStreams), OnDemandStreamCountLimit: onDemandLimit, ChannelCount: &none, ChannelCountLimit: &none,
	}, nil
}
