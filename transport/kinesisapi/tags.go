package kinesisapi

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// maxTags is how many tags a stream may have, and how many one call lists.
const maxTags = 50

type setTags func(s *engine.Stream, ctx context.Context, add map[string]string, remove []string) error

// checkReserved refuses to touch settings that live under the reserved prefix.
func checkReserved(keys []string) error {
	for _, k := range keys {
		if strings.HasPrefix(k, reservedPrefix) {
			return invalidArgument("Tag keys starting with " + reservedPrefix + " are reserved for CreateStream.")
		}
	}
	return nil
}

// addTags is what AddTagsToStream and TagResource share; set is the engine's method for either.
func (a *API) addTags(c *awshttp.Call, name, arn string, tags map[string]string, set setTags) error {
	return a.do(c, name, arn, func(s *engine.Stream) error {
		if err := checkReserved(slices.Collect(maps.Keys(tags))); err != nil {
			return err
		}
		return set(s, c.Context, tags, nil)
	})
}

// removeTags is what RemoveTagsFromStream and UntagResource share.
func (a *API) removeTags(c *awshttp.Call, name, arn string, keys []string, set setTags) error {
	return a.do(c, name, arn, func(s *engine.Stream) error {
		if err := checkReserved(keys); err != nil {
			return err
		}
		return set(s, c.Context, nil, keys)
	})
}

// listTags returns tags by key, after a key, and whether there are more than limit.
func listTags(tags map[string]string, after string, limit int) (list []Tag, more bool) {
	list = []Tag{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if after != "" && k <= after {
			continue
		}
		if len(list) == limit {
			return list, true
		}
		list = append(list, Tag{Key: k, Value: tags[k]})
	}
	return list, false
}
