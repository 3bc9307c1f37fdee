package engine

import (
	"context"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// Split is Stream.Split with the shard id checked before the stream, as AWS does.
func (e *Engine) Split(ctx context.Context, n Name, shardID, newStartingHashKey string) error {
	s, err := e.controlled(n, shardID)
	if err != nil {
		return err
	}
	return s.Split(ctx, shardID, newStartingHashKey)
}

// Split makes two shards of one: SplitShard. newStartingHashKey is where the second one begins, in decimal. It returns
// when both are durable and open; with Options.Transition the stream is UPDATING for that long afterwards.
//
// Errors: CodeInUse where the stream is not ACTIVE, CodeNotFound, CodeInvalidArgument (key outside the shard, shard
// closed), CodeLimitExceeded, CodeValidation on demand.
func (s *Stream) Split(ctx context.Context, shardID, newStartingHashKey string) error {
	info, err := s.beginControl()
	if err != nil {
		return err
	}
	defer s.control.Unlock()
	if info.OnDemand {
		return onDemandError(s.name)
	}
	sh, err := openShard(info, shardID)
	if err != nil {
		return err
	}
	if open, limit, _ := s.e.ShardUse(s.name.Account, s.name.Region); open+1 > limit {
		return shardLimitError(s.name, open, limit, 1) // AWS says so before it looks at the key
	}
	at, bad := hashkey.Parse(newStartingHashKey)
	if bad != nil || !sh.Range.First.Next().Less(at) || !at.Less(sh.Range.Last) {
		return newError(CodeInvalidArgument, "NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s "+
			"is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
			newStartingHashKey, ShardID(sh.Index), s.name.Stream, s.name.Account, sh.Range.First, sh.Range.Last)
	}
	return asError(s.reshape(ctx, info, []uint32{sh.Index}, 1, func(r *reshape) { r.split(sh.Index, at) }))
}

// split closes a shard and adds its two children.
func (r *reshape) split(index uint32, at hashkey.Key) (left, right uint32) {
	a, b := r.next.Shard(index).Range.Split(at)
	closed := r.close(index)
	left = r.child(ShardInfo{Range: a, Parent: int32(index), AdjacentParent: -1}, closed)
	right = r.child(ShardInfo{Range: b, Parent: int32(index), AdjacentParent: -1}, closed)
	return left, right
}
