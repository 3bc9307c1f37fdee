package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// DecreaseStreamRetentionPeriod keeps records for a shorter time; those past it are gone at once.
func (a *API) DecreaseStreamRetentionPeriod(c *awshttp.Call, in *DecreaseStreamRetentionPeriodInput) error {
	return a.do(c, in.StreamName, in.StreamARN, func(s *engine.Stream) error {
		return s.SetRetention(c.Context, int(in.RetentionPeriodHours), false)
	})
}
