package main

import (
	"context"
	"fmt"
	"math/big"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// shardID takes a shard's full id or just its number.
func shardID(s string) (string, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil {
		return fmt.Sprintf("shardId-%012d", n), nil
	}
	var rest uint64
	if _, err := fmt.Sscanf(s, "shardId-%d", &rest); err != nil {
		return "", usagef("shard %q: want a number or an id such as shardId-000000000000", s)
	}
	return s, nil
}

type streamSplitCmd struct {
	clientFlags
	Stream string `arg:"" help:"Name of the stream."`
	Shard  string `arg:"" help:"Shard to split: its number or id."`
	At     string `help:"First hash key of the second child. Default: the middle." placeholder:"HASHKEY"`
}

// Run is called by kong.
func (s *streamSplitCmd) Run(a *app) error {
	id, err := shardID(s.Shard)
	if err != nil {
		return err
	}
	c, ctx, cancel, err := s.dial(a)
	if err != nil {
		return err
	}
	defer cancel()
	at := s.At
	if at == "" {
		if at, err = c.middleOf(ctx, s.Stream, id); err != nil {
			return err
		}
	}
	_, err = c.SplitShard(ctx, &kinesis.SplitShardInput{StreamName: &s.Stream, ShardToSplit: &id, NewStartingHashKey: &at})
	if err != nil {
		return c.fail(err, "split %s of %s", id, s.Stream)
	}
	return c.afterReshard(ctx, s.Stream)
}

// middleOf is the hash key that halves a shard.
func (c *client) middleOf(ctx context.Context, stream, id string) (string, error) {
	shards, err := c.listShards(ctx, stream)
	if err != nil {
		return "", err
	}
	for _, sh := range shards {
		if aws.ToString(sh.ShardId) != id || sh.HashKeyRange == nil {
			continue
		}
		first, ok1 := new(big.Int).SetString(aws.ToString(sh.HashKeyRange.StartingHashKey), 10)
		last, ok2 := new(big.Int).SetString(aws.ToString(sh.HashKeyRange.EndingHashKey), 10)
		if !ok1 || !ok2 {
			return "", exitf(codeFailed, "split %s: the server gives no usable hash-key range", id)
		}
		sum := first.Add(first, last)
		sum.Add(sum, big.NewInt(1))
		return sum.Rsh(sum, 1).String(), nil
	}
	return "", exitf(codeNotFound, "split %s: stream %s has no such shard. See: shardmill stream describe %s", id, stream, stream)
}

type streamMergeCmd struct {
	clientFlags
	Stream string `arg:"" help:"Name of the stream."`
	Shard  string `arg:"" help:"First shard: its number or id."`
	With   string `arg:"" help:"Its neighbour."`
}

// Run is called by kong.
func (s *streamMergeCmd) Run(a *app) error {
	left, err := shardID(s.Shard)
	if err != nil {
		return err
	}
	right, err := shardID(s.With)
	if err != nil {
		return err
	}
	c, ctx, cancel, err := s.dial(a)
	if err != nil {
		return err
	}
	defer cancel()
	_, err = c.MergeShards(ctx, &kinesis.MergeShardsInput{StreamName: &s.Stream, ShardToMerge: &left, AdjacentShardToMerge: &right})
	if err != nil {
		return c.fail(err, "merge %s and %s of %s", left, right, s.Stream)
	}
	return c.afterReshard(ctx, s.Stream)
}

type streamReshardCmd struct {
	clientFlags
	Stream string `arg:"" help:"Name of the stream."`
	Count  int32  `arg:"" help:"Open shards to end up with."`
}

// Run is called by kong.
func (s *streamReshardCmd) Run(a *app) error {
	c, ctx, cancel, err := s.dial(a)
	if err != nil {
		return err
	}
	defer cancel()
	_, err = c.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{
		StreamName: &s.Stream, TargetShardCount: &s.Count, ScalingType: types.ScalingTypeUniformScaling,
	})
	if err != nil {
		return c.fail(err, "reshard %s", s.Stream)
	}
	return c.afterReshard(ctx, s.Stream)
}

// afterReshard waits until the stream is active again and says what it looks like now.
func (c *client) afterReshard(ctx context.Context, stream string) error {
	if err := c.waitActive(ctx, stream); err != nil {
		return err
	}
	if c.flags.Quiet {
		return nil
	}
	shards, err := c.listShards(ctx, stream)
	if err != nil {
		return err
	}
	open := int64(0)
	for i := range shards {
		if !isClosed(&shards[i]) {
			open++
		}
	}
	c.app.say("stream %s has %s", stream, plural(open, "open shard"))
	return nil
}
