package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// AddTagsToStream adds tags or replaces their values.
func (a *API) AddTagsToStream(c *awshttp.Call, in *AddTagsToStreamInput) error {
	return a.addTags(c, in.StreamName, in.StreamARN, in.Tags, (*engine.Stream).SetTags)
}
