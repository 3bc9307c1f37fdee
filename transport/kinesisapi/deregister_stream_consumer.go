package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// DeregisterStreamConsumer removes a consumer and ends its subscriptions.
func (a *API) DeregisterStreamConsumer(c *awshttp.Call, in *DeregisterStreamConsumerInput) error {
	r, err := a.consumer(c, in.ConsumerARN, in.StreamARN, in.ConsumerName)
	if err != nil {
		return err
	}
	return r.stream.DeregisterConsumer(c.Context, r.name, r.created)
}
