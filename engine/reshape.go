package engine

import (
	"context"
	"time"

	"github.com/shardmill/shardmill/engine/catalog"
)

// reshape replaces open shards by others: what split, merge and reshard have in common. It shuts the parents, waits for
// the appends inside them, takes the end of the log as their end, waits until all of it is durable, commits parents and
// children in one change of the catalog, and opens the children. A crash before the commit leaves the parents open, a
// crash after it leaves them closed with their children open; the records are the same either way.
//
// Appends for the parents wait meanwhile, a few milliseconds. An error before the commit reopens the parents.
type reshape struct {
	s     *Stream
	info  *StreamInfo // before
	next  *StreamInfo // after; its new shards have no ids until commit
	fresh int         // index of the first new shard in next.Shards
	end   uint64      // where the parents end and the children begin
	now   int64       // seconds
}

// run carries out a reshape of the parents (indexes of open shards). build adds the children to r.next through r.child.
// s.control is held.
func (s *Stream) reshape(ctx context.Context, info *StreamInfo, parents []uint32, more int, build func(r *reshape)) *Error {
	if err := s.e.limits.addShards(s.name, more); err != nil {
		return err
	}
	shut := s.find(info, parents)
	for _, sh := range shut {
		sh.shut()
	}
	err := s.reshapeShut(ctx, info, shut, build)
	if err == nil {
		return nil
	}
	_ = s.e.limits.addShards(s.name, -more) // a decrease does not fail
	if s.e.failed.Load() == nil {
		for _, sh := range shut {
			sh.reopen()
		}
		s.wakeAppenders()
	}
	return err
}

// find returns the open shards with those indexes.
func (s *Stream) find(info *StreamInfo, indexes []uint32) []*shard {
	out := make([]*shard, len(indexes))
	for i, index := range indexes {
		out[i] = s.e.shards.get(info.Shard(index).ID)
		if out[i] == nil {
			panic("BUG: an open shard is not in the shard table")
		}
	}
	return out
}

func (s *Stream) reshapeShut(ctx context.Context, info *StreamInfo, shut []*shard, build func(r *reshape)) *Error {
	for _, sh := range shut {
		sh.drain()
	}
	// An append returns before its batch is published if an earlier claim is still being copied, so the watermark alone
	// would not do.
	end := s.e.lane.Watermarks().Published
	for _, sh := range shut {
		end = max(end, sh.lastEnd.Load())
	}
	if err := s.e.lane.Wait(ctx, end, LevelDisk); err != nil {
		return laneError(err)
	}
	r := &reshape{s: s, info: info, next: info.Clone(), fresh: len(info.Shards), end: end, now: time.Now().Unix()}
	build(r)
	made := r.next.Shards[r.fresh:]
	first, failed := s.e.reserveShards(len(made))
	if failed != nil {
		return failed
	}
	for i := range made {
		made[i].ID = first + uint32(i)
	}
	r.next.RouteEpoch++
	if s.e.o.Transition > 0 {
		r.next.Status = catalog.Updating
	}
	if err := s.commit(r.next, shut); err != nil {
		return err
	}
	if s.e.o.Transition > 0 {
		s.e.due.add(s.e.transitionEnd(), s, catalog.Active)
	}
	return nil
}

// close closes an open shard of r.next and returns the second at which it did: never before the shard was made.
func (r *reshape) close(index uint32) int64 {
	sh := r.next.Shard(index)
	sh.ClosedSeconds = max(r.now, sh.CreatedSeconds)
	sh.End = r.end
	return sh.ClosedSeconds
}

// child adds an open shard to r.next and returns its index. AWS dates children one second after their parents' end, which
// makes their sequence numbers higher.
func (r *reshape) child(c ShardInfo, parentClosed int64) uint32 {
	c.Index = r.next.NextIndex
	c.CreatedSeconds = parentClosed + 1
	c.Start = r.end
	r.next.NextIndex++
	r.next.Shards = append(r.next.Shards, c)
	return c.Index
}

// openShard returns the open shard that shardID names for a control operation.
func openShard(info *StreamInfo, shardID string) (*ShardInfo, *Error) {
	index, ok := ParseShardID(shardID)
	if !ok {
		return nil, noShardNamed(info.Name, shardID)
	}
	sh := info.Shard(index)
	if sh == nil {
		return nil, noShardNamed(info.Name, ShardID(index))
	}
	if !sh.Open() {
		return nil, newError(CodeInvalidArgument, "Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.",
			ShardID(index), info.Name.Stream, info.Name.Account)
	}
	return sh, nil
}

// controlled finds the stream for a control operation on shards in the order AWS checks: the shard ids must be readable
// before the stream is looked for.
func (e *Engine) controlled(n Name, shardIDs ...string) (*Stream, error) {
	for _, id := range shardIDs {
		if _, ok := ParseShardID(id); !ok {
			return nil, noShardNamed(e.name(n), id)
		}
	}
	return e.Stream(n)
}
