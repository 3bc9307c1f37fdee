package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// RegisterStreamConsumer adds a consumer to a stream. As at AWS the reply shows it CREATING, even where it is ACTIVE at
// once.
func (a *API) RegisterStreamConsumer(c *awshttp.Call, in *RegisterStreamConsumerInput) (*RegisterStreamConsumerOutput, error) {
	s, n, err := a.stream(c, "", in.StreamARN)
	if err != nil {
		return nil, err
	}
	made, err := s.RegisterConsumer(c.Context, in.ConsumerName, in.Tags)
	if err != nil {
		return nil, err
	}
	out := consumerOf(n, &made)
	out.ConsumerStatus = creating
	return &RegisterStreamConsumerOutput{Consumer: out}, nil
}
