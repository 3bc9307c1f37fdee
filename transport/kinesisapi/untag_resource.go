package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// UntagResource is RemoveTagsFromStream by ARN. Gap: only streams can be tagged.
func (a *API) UntagResource(c *awshttp.Call, in *UntagResourceInput) error {
	return a.removeTags(c, "", in.ResourceARN, in.TagKeys, (*engine.Stream).SetResourceTags)
}
