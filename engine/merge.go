package engine

import (
	"context"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// Merge is Stream.Merge with the shard ids checked before the stream, as AWS does.
func (e *Engine) Merge(ctx context.Context, n Name, left, right string) error {
	s, err := e.controlled(n, left, right)
	if err != nil {
		return err
	}
	return s.Merge(ctx, left, right)
}

// Merge makes one shard of two adjacent ones: MergeShards. left has the lower hash keys. It returns when the new one is
// durable and open; with Options.Transition the stream is UPDATING for that long afterwards.
//
// Errors: CodeInUse where the stream is not ACTIVE, CodeNotFound, CodeInvalidArgument (not adjacent in that order, shard
// closed), CodeValidation on demand.
func (s *Stream) Merge(ctx context.Context, left, right string) error {
	info, err := s.beginControl()
	if err != nil {
		return err
	}
	defer s.control.Unlock()
	if info.OnDemand {
		return onDemandError(s.name)
	}
	if _, err := openShard(info, left); err != nil && err.Code == CodeNotFound {
		return err
	}
	b, err := openShard(info, right)
	if err != nil {
		return err
	}
	a, err := openShard(info, left)
	if err != nil {
		return err
	}
	if a.Range.Last == hashkey.Max() || a.Range.Last.Next() != b.Range.First {
		return newError(CodeInvalidArgument, "Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging",
			ShardID(a.Index), ShardID(b.Index), s.name.Stream, s.name.Account)
	}
	return asError(s.reshape(ctx, info, []uint32{a.Index, b.Index}, -1, func(r *reshape) { r.merge(a.Index, b.Index) }))
}

// merge closes two adjacent shards and adds their child.
func (r *reshape) merge(left, right uint32) uint32 {
	whole := r.next.Shard(left).Range.Merge(r.next.Shard(right).Range)
	closed := max(r.close(left), r.close(right))
	return r.child(ShardInfo{Range: whole, Parent: int32(left), AdjacentParent: int32(right)}, closed)
}
