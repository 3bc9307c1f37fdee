package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// EnableEnhancedMonitoring switches shard-level metrics on.
func (a *API) EnableEnhancedMonitoring(c *awshttp.Call, in *EnableEnhancedMonitoringInput) (*EnhancedMonitoringOutput, error) {
	return a.setMetrics(c, in.StreamName, in.StreamARN, in.ShardLevelMetrics, true)
}
