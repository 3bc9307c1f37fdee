package kinesisapi

import (
	"time"

	"github.com/shardmill/shardmill/transport/awshttp"
)

// DescribeStreamConsumer tells about one consumer, named by its ARN or by its stream's ARN and its own name.
func (a *API) DescribeStreamConsumer(c *awshttp.Call, in *DescribeStreamConsumerInput) (*DescribeStreamConsumerOutput, error) {
	r, err := a.consumer(c, in.ConsumerARN, in.StreamARN, in.ConsumerName)
	if err != nil {
		return nil, err
	}
	info, err := r.stream.Consumer(r.name, r.created)
	if err != nil {
		return nil, err
	}
	return &DescribeStreamConsumerOutput{ConsumerDescription: ConsumerDescription{
		ConsumerName: info.Name, ConsumerARN: consumerARN(r.in, &info), ConsumerStatus: string(info.Status),
		ConsumerCreationTimestamp: time.Unix(info.Created, 0), StreamARN: arn(r.in),
	}}, nil
}
