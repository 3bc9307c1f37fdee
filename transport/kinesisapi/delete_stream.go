package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// DeleteStream removes a stream in any state, with all its records and, where that is asked for, its consumers.
func (a *API) DeleteStream(c *awshttp.Call, in *DeleteStreamInput) error {
	n, err := streamName(c, in.StreamName, in.StreamARN)
	if err != nil {
		return err
	}
	if in.EnforceConsumerDeletion != nil && *in.EnforceConsumerDeletion {
		return a.engine.DeleteStreamAndConsumers(c.Context, n)
	}
	return a.engine.DeleteStream(c.Context, n)
}
