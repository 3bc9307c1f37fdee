package kinesisapi

import (
	"errors"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// GetShardIterator makes a token for one of the five starting points. Gap: DryRun is ignored.
func (a *API) GetShardIterator(c *awshttp.Call, in *GetShardIteratorInput) (*GetShardIteratorOutput, error) {
	n, err := streamName(c, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	// The shard's name is looked at before the stream's, and a missing stream is told as a missing shard.
	index, err := shardIndex(in.ShardId, n)
	if err != nil {
		return nil, err
	}
	s, err := a.engine.Stream(n)
	var e *engine.Error
	if errors.As(err, &e) && e.Code == engine.CodeNotFound || err == nil && s.Info().Status == creating {
		return nil, shardMissing(index, n)
	}
	if err != nil {
		return nil, err
	}
	token, err := s.Iterator(shardID(uint32(index)), engine.IteratorType(in.ShardIteratorType), in.StartingSequenceNumber, in.Timestamp)
	if err != nil {
		return nil, err
	}
	return &GetShardIteratorOutput{ShardIterator: token}, nil
}
