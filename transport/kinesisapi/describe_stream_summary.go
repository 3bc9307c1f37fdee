package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// DescribeStreamSummary tells about a stream without listing its shards. Gap: StreamId is never returned.
func (a *API) DescribeStreamSummary(c *awshttp.Call, in *DescribeStreamSummaryInput) (*DescribeStreamSummaryOutput, *engine.StreamInfo, error) {
	s, n, err := a.stream(c, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, nil, err
	}
	info := s.Info()
	maxKiB, consumers := int64(info.MaxRecordBytes>>10), int64(len(info.Consumers))
	d := StreamDescriptionSummary{
		StreamName: n.Stream, StreamARN: arn(n), StreamStatus: string(info.Status), StreamModeDetails: mode(info),
		RetentionPeriodHours: int64(info.RetentionHours), StreamCreationTimestamp: info.Created, EncryptionType: describedEncryption(info),
		KeyId: info.Settings.KeyID, EnhancedMonitoring: monitoring(info),
		ConsumerCount: &consumers, MaxRecordSizeInKiB: &maxKiB,
	}
	if info.Status != creating {
		d.OpenShardCount = int64(openShards(info))
	}
	if info.OnDemand {
		d.RecordDistributionStrategy = distributeByKey
		if info.Settings.Auto {
			d.RecordDistributionStrategy = distributeAuto
		}
		if w, ok := engine.WarmOf(info); ok {
			d.WarmThroughput = warm(w)
		}
	}
	return &DescribeStreamSummaryOutput{StreamDescriptionSummary: d}, info, nil
}

func (a *API) describeStreamSummary(c *awshttp.Call) error {
	in := decodeDescribeStreamSummaryInput(c.Input)
	out, info, err := a.DescribeStreamSummary(c, &in)
	if err != nil {
		return asAWS(err)
	}
	v := out.value()
	extend(&v.List[0], info)
	c.Reply(v)
	return nil
}
