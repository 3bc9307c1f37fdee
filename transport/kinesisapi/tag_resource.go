package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// TagResource is AddTagsToStream by ARN, for streams and consumers.
func (a *API) TagResource(c *awshttp.Call, in *TagResourceInput) error {
	if isConsumer(in.ResourceARN) {
		return a.tagConsumer(c, in.ResourceARN, in.Tags, nil)
	}
	return a.addTags(c, "", in.ResourceARN, in.Tags, (*engine.Stream).SetResourceTags)
}
