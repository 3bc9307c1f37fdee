package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// ListTagsForStream lists tags by key, in pages of up to 50.
func (a *API) ListTagsForStream(c *awshttp.Call, in *ListTagsForStreamInput) (*ListTagsForStreamOutput, error) {
	s, _, err := a.stream(c, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	limit := maxTags
	if in.Limit != nil {
		limit = int(*in.Limit)
	}
	tags, more := listTags(s.Info().Tags, in.ExclusiveStartTagKey, limit)
	return &ListTagsForStreamOutput{Tags: tags, HasMoreTags: more}, nil
}
