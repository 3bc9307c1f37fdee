package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// DeleteStream removes a stream in any state, with all its records.
func (a *API) DeleteStream(c *awshttp.Call, in *DeleteStreamInput) error {
	n, err := streamName(c, in.StreamName, in.StreamARN)
	if err != nil {
		return err
	}
	return a.engine.DeleteStream(c.Context, n)
}
