package kinesisapi

import (
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// maxListed is how many shards one ListShards returns at most, and by default.
const maxListed = 1000

// ListShards lists a stream's shards, all of them or those a filter picks, in pages. Gap: StreamCreationTimestamp is
// compared by whole seconds.
func (a *API) ListShards(c *awshttp.Call, in *ListShardsInput) (*ListShardsOutput, error) {
	named := in.StreamName != "" || in.StreamARN != ""
	switch {
	case named && in.NextToken != "":
		return nil, invalidArgument("NextToken and StreamName cannot be provided together.")
	case !named && in.NextToken == "":
		return nil, invalidArgument("Either NextToken or StreamName should be provided.")
	case in.NextToken != "" && (in.ExclusiveStartShardId != "" || in.ShardFilter != nil || in.StreamCreationTimestamp != nil):
		return nil, invalidArgument("NextToken cannot be provided together with ExclusiveStartShardId, ShardFilter or StreamCreationTimestamp.")
	}
	filter, start := in.ShardFilter, in.ExclusiveStartShardId
	n, err := streamName(c, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if in.NextToken != "" {
		p, err := a.tokens.open(c, "ListShards", in.NextToken)
		if err != nil {
			return nil, err
		}
		n, filter, start = engine.Name{Account: c.Account, Region: c.Region, Stream: p.Stream}, p.Filter, p.After
	}
	s, err := a.engine.Stream(n)
	if err != nil {
		return nil, err
	}
	info := s.Info()
	if t := in.StreamCreationTimestamp; t != nil && t.Unix() != info.Created.Unix() {
		return nil, streamNotFound(n)
	}
	pick, err := picker(filter, info, n)
	if err != nil {
		return nil, err
	}
	after := int64(-1)
	if start != "" {
		if after, err = shardIndex(start, n); err != nil {
			return nil, err
		}
	}
	limit := maxListed
	if in.MaxResults != nil {
		limit = min(limit, int(*in.MaxResults))
	}
	return a.listPage(c, n, info, filter, after, limit, pick)
}

func (a *API) listPage(c *awshttp.Call, n engine.Name, info *engine.StreamInfo, filter *ShardFilter, after int64, limit int,
	pick func(*engine.ShardInfo) bool,
) (*ListShardsOutput, error) {
	out := &ListShardsOutput{Shards: []Shard{}}
	if info.Status == creating {
		return out, nil
	}
	for i := range info.Shards {
		sh := &info.Shards[i]
		if int64(sh.Index) <= after || !pick(sh) {
			continue
		}
		if len(out.Shards) == limit {
			token, err := a.tokens.seal(page{
				Action: "ListShards", Account: c.Account, Region: c.Region, Stream: n.Stream, Filter: filter,
				After: out.Shards[limit-1].ShardId,
			})
			out.NextToken = token
			return out, err
		}
		out.Shards = append(out.Shards, shardOf(sh))
	}
	return out, nil
}

// picker is the test that a filter puts shards to.
func picker(f *ShardFilter, info *engine.StreamInfo, n engine.Name) (func(*engine.ShardInfo) bool, error) {
	all := func(*engine.ShardInfo) bool { return true }
	if f == nil {
		return all, nil
	}
	horizon := max(time.Now().Add(-time.Duration(info.RetentionHours)*time.Hour).Unix(), info.Created.Unix())
	at := func(sec int64) func(*engine.ShardInfo) bool {
		return func(s *engine.ShardInfo) bool {
			return s.CreatedSeconds <= sec && (s.Open() || s.ClosedSeconds >= sec)
		}
	}
	from := func(sec int64) func(*engine.ShardInfo) bool {
		return func(s *engine.ShardInfo) bool { return s.Open() || s.ClosedSeconds >= sec }
	}
	if (f.Type == "AT_TIMESTAMP" || f.Type == "FROM_TIMESTAMP") && f.Timestamp == nil {
		return nil, invalidArgument("Timestamp is required for filter type " + f.Type + ".")
	}
	switch f.Type {
	case "AFTER_SHARD_ID":
		if f.ShardId == "" {
			return nil, invalidArgument("ShardId is required for filter type AFTER_SHARD_ID.")
		}
		after, err := shardIndex(f.ShardId, n)
		return func(s *engine.ShardInfo) bool { return int64(s.Index) > after }, err
	case "AT_TRIM_HORIZON":
		return at(horizon), nil
	case "AT_LATEST":
		return (*engine.ShardInfo).Open, nil
	case "AT_TIMESTAMP":
		return at(max(f.Timestamp.Unix(), horizon)), nil
	case "FROM_TIMESTAMP":
		return from(max(f.Timestamp.Unix(), horizon)), nil
	}
	return all, nil // FROM_TRIM_HORIZON: the catalog forgets shards that have expired
}
