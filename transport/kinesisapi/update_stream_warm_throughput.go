package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// UpdateStreamWarmThroughput keeps the rate an on-demand stream is asked to be ready for.
func (a *API) UpdateStreamWarmThroughput(c *awshttp.Call, in *UpdateStreamWarmThroughputInput) (*UpdateStreamWarmThroughputOutput, error) {
	s, n, err := a.stream(c, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	w, err := s.SetWarmThroughput(c.Context, int(in.WarmThroughputMiBps))
	if err != nil {
		return nil, err
	}
	return &UpdateStreamWarmThroughputOutput{StreamName: n.Stream, StreamARN: arn(n), WarmThroughput: warm(w)}, nil
}

func warm(w engine.WarmThroughput) *WarmThroughputObject {
	target, current := int64(w.Target), int64(w.Current)
	return &WarmThroughputObject{TargetMiBps: &target, CurrentMiBps: &current}
}
