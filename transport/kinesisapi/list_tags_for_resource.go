package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// ListTagsForResource lists all tags of a stream or a consumer by ARN.
func (a *API) ListTagsForResource(c *awshttp.Call, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	if isConsumer(in.ResourceARN) {
		return a.consumerTags(c, in.ResourceARN)
	}
	s, _, err := a.stream(c, "", in.ResourceARN)
	if err != nil {
		return nil, err
	}
	tags, _ := listTags(s.Info().Tags, "", maxTags)
	return &ListTagsForResourceOutput{Tags: tags}, nil
}
