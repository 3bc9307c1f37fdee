package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// shardMetrics are the shard-level metrics in the order the API lists them; each is the bit of its place.
func shardMetrics() [7]string {
	return [...]string{
		"IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords", "WriteProvisionedThroughputExceeded",
		"ReadProvisionedThroughputExceeded", "IteratorAgeMilliseconds",
	}
}

// metricBits reads a list of metrics; ALL stands for each.
func metricBits(names []string) (bits uint8) {
	for _, n := range names {
		for i, m := range shardMetrics() {
			if n == m || n == "ALL" {
				bits |= 1 << i
			}
		}
	}
	return bits
}

// metricNames is the list of those that are on, never nil.
func metricNames(bits uint8) []string {
	out := []string{}
	for i, m := range shardMetrics() {
		if bits&(1<<i) != 0 {
			out = append(out, m)
		}
	}
	return out
}

func (a *API) setMetrics(c *awshttp.Call, name, arnText string, names []string, on bool) (*EnhancedMonitoringOutput, error) {
	s, n, err := a.stream(c, name, arnText)
	if err != nil {
		return nil, err
	}
	before, after, err := s.SetMetrics(c.Context, metricBits(names), on)
	if err != nil {
		return nil, err
	}
	return &EnhancedMonitoringOutput{
		StreamName: n.Stream, StreamARN: arn(n), CurrentShardLevelMetrics: metricNames(before), DesiredShardLevelMetrics: metricNames(after),
	}, nil
}

func monitoring(info *engine.StreamInfo) []EnhancedMetrics {
	return []EnhancedMetrics{{ShardLevelMetrics: metricNames(info.Settings.Metrics)}}
}
