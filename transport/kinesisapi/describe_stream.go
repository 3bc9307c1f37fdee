package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// maxDescribed is how many shards one DescribeStream lists at most, and by default.
const maxDescribed = 100

// DescribeStream tells everything about a stream but its open shard count, and pages through its shards.
func (a *API) DescribeStream(c *awshttp.Call, in *DescribeStreamInput) (*DescribeStreamOutput, *engine.StreamInfo, error) {
	s, n, err := a.stream(c, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, nil, err
	}
	info := s.Info()
	after := int64(-1)
	if in.ExclusiveStartShardId != "" {
		if after, err = shardIndex(in.ExclusiveStartShardId, n); err != nil {
			return nil, nil, err
		}
	}
	limit := maxDescribed
	if in.Limit != nil {
		limit = min(limit, int(*in.Limit))
	}
	d := StreamDescription{
		StreamName: n.Stream, StreamARN: arn(n), StreamStatus: string(info.Status), StreamModeDetails: mode(info),
		RetentionPeriodHours: int64(info.RetentionHours), StreamCreationTimestamp: info.Created, EncryptionType: describedEncryption(info),
		KeyId: info.Settings.KeyID, EnhancedMonitoring: monitoring(info), Shards: []Shard{},
	}
	if info.Status != creating {
		for i := range info.Shards {
			if int64(info.Shards[i].Index) <= after {
				continue
			}
			if len(d.Shards) == limit {
				d.HasMoreShards = true
				break
			}
			d.Shards = append(d.Shards, shardOf(&info.Shards[i]))
		}
	}
	return &DescribeStreamOutput{StreamDescription: d}, info, nil
}

func (a *API) describeStream(c *awshttp.Call) error {
	in := decodeDescribeStreamInput(c.Input)
	out, info, err := a.DescribeStream(c, &in)
	if err != nil {
		return asAWS(err)
	}
	v := out.value()
	extend(&v.List[0], info)
	c.Reply(v)
	return nil
}
