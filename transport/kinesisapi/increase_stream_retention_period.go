package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// IncreaseStreamRetentionPeriod keeps records longer; expired ones do not come back.
func (a *API) IncreaseStreamRetentionPeriod(c *awshttp.Call, in *IncreaseStreamRetentionPeriodInput) error {
	return a.do(c, in.StreamName, in.StreamARN, func(s *engine.Stream) error {
		return s.SetRetention(c.Context, int(in.RetentionPeriodHours), true)
	})
}
