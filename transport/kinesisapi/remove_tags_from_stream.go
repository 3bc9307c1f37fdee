package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// RemoveTagsFromStream removes tags; keys that are not there are ignored.
func (a *API) RemoveTagsFromStream(c *awshttp.Call, in *RemoveTagsFromStreamInput) error {
	return a.removeTags(c, in.StreamName, in.StreamARN, in.TagKeys, (*engine.Stream).SetTags)
}
