package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// TagResource is AddTagsToStream by ARN. Gap: only streams can be tagged.
func (a *API) TagResource(c *awshttp.Call, in *TagResourceInput) error {
	return a.addTags(c, "", in.ResourceARN, in.Tags, (*engine.Stream).SetResourceTags)
}
