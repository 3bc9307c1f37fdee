package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// DisableEnhancedMonitoring switches shard-level metrics off.
func (a *API) DisableEnhancedMonitoring(c *awshttp.Call, in *DisableEnhancedMonitoringInput) (*EnhancedMonitoringOutput, error) {
	return a.setMetrics(c, in.StreamName, in.StreamARN, in.ShardLevelMetrics, false)
}
