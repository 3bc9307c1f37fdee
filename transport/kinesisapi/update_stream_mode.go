package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// UpdateStreamMode makes a stream on-demand or provisioned. Its shards stay as they are.
func (a *API) UpdateStreamMode(c *awshttp.Call, in *UpdateStreamModeInput) error {
	warm := 0
	if in.WarmThroughputMiBps != nil {
		warm = int(*in.WarmThroughputMiBps)
	}
	return a.do(c, "", in.StreamARN, func(s *engine.Stream) error {
		return s.SetMode(c.Context, in.StreamModeDetails.StreamMode == onDemand, warm)
	})
}
