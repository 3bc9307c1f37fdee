package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// UntagResource is RemoveTagsFromStream by ARN, for streams and consumers.
func (a *API) UntagResource(c *awshttp.Call, in *UntagResourceInput) error {
	if isConsumer(in.ResourceARN) {
		return a.tagConsumer(c, in.ResourceARN, nil, in.TagKeys)
	}
	return a.removeTags(c, "", in.ResourceARN, in.TagKeys, (*engine.Stream).SetResourceTags)
}
