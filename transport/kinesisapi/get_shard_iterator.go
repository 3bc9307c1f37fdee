package kinesisapi

import (
	"errors"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// GetShardIterator makes a token for one of the five starting points.
func (a *API) GetShardIterator(c *awshttp.Call, in *GetShardIteratorInput) (*GetShardIteratorOutput, error) {
	n, ids, err := shardNames(c, in.StreamName, in.StreamARN, in.ShardId)
	if err != nil {
		return nil, err
	}
	// A missing stream is told as a missing shard.
	s, err := a.engine.Stream(n)
	var e *engine.Error
	if errors.As(err, &e) && e.Code == engine.CodeNotFound || err == nil && s.Info().Status == creating {
		return nil, shardMissing(ids[0], n)
	}
	if err != nil {
		return nil, err
	}
	token, err := s.Iterator(ids[0], engine.IteratorType(in.ShardIteratorType), in.StartingSequenceNumber, in.Timestamp)
	if err != nil {
		return nil, err
	}
	if dryRun(in.DryRun) {
		return nil, dryRunError()
	}
	return &GetShardIteratorOutput{ShardIterator: token}, nil
}
