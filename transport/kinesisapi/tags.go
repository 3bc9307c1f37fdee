package kinesisapi

import (
	"maps"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// maxTags is how many tags a stream may have, and how many one call lists.
const maxTags = 50

// checkReserved refuses to touch settings that live under the reserved prefix.
func checkReserved(keys []string) error {
	for _, k := range keys {
		if strings.HasPrefix(k, reservedPrefix) {
			return invalidArgument("Tag keys starting with " + reservedPrefix + " are reserved for CreateStream.")
		}
	}
	return nil
}

// addTags is what AddTagsToStream and TagResource share.
func (a *API) addTags(c *awshttp.Call, name, arn string, tags map[string]string) error {
	return a.do(c, name, arn, func(s *engine.Stream) error {
		if err := checkReserved(slices.Collect(maps.Keys(tags))); err != nil {
			return err
		}
		return s.SetTags(c.Context, tags, nil)
	})
}

// removeTags is what RemoveTagsFromStream and UntagResource share.
func (a *API) removeTags(c *awshttp.Call, name, arn string, keys []string) error {
	return a.do(c, name, arn, func(s *engine.Stream) error {
		if err := checkReserved(keys); err != nil {
			return err
		}
		return s.SetTags(c.Context, nil, keys)
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
