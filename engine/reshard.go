package engine

import (
	"context"
	"slices"

	"github.com/shardmill/shardmill/codec/hashkey"
)

const (
	maxReshard = 10000 // shards that UpdateShardCount takes a stream to

	// reshardSlack is how far an equal range may be off, in hash keys: equal division rounds down, so the bounds of 3
	// shards differ from every second bound of 6 by a few keys of 2^128. Such a bound stays where it is rather than be
	// moved by a split and a merge.
	reshardSlack = 1 << 20
)

// Reshard makes the stream have target open shards of equal range: UpdateShardCount with UNIFORM_SCALING. It splits and
// merges, so each new shard has its parents; shards that live for no time in between are part of the lineage. It returns
// when all is durable and open; with Options.Transition the stream is UPDATING for that long afterwards.
//
// Errors: CodeInUse where the stream is not ACTIVE, CodeInvalidArgument, CodeLimitExceeded (more than double, less than
// half, over the account's limit), CodeValidation on demand. Not implemented: the ten changes a day.
func (s *Stream) Reshard(ctx context.Context, target int) error {
	info, err := s.beginControl()
	if err != nil {
		return err
	}
	defer s.control.Unlock()
	if info.OnDemand {
		return onDemandError(s.name)
	}
	if err := checkReshard(info.OpenShards(), target); err != nil {
		return err
	}
	plan := planReshard(info, target)
	if len(plan.parents) == 0 {
		return nil // equal already
	}
	return asError(s.reshape(ctx, info, plan.parents, target-info.OpenShards(), plan.carryOut))
}

func checkReshard(open, target int) *Error {
	const text = "UpdateShardCount cannot scale %s your current open shard count. Current open shard count: %d Target shard count: %d"
	switch {
	case target < 1:
		return newError(CodeInvalidArgument, "TargetShardCount must be at least 1. Specified value was %d", target)
	case target > 2*open:
		return newError(CodeLimitExceeded, text, "up over double", open, target)
	case 2*target < open:
		return newError(CodeLimitExceeded, text, "down below half", open, target)
	case target > maxReshard:
		return newError(CodeLimitExceeded, "UpdateShardCount cannot scale up over %d shards. Current open shard count: %d Target shard count: %d",
			maxReshard, open, target)
	}
	return nil
}

// reshardPlan says which shards are split where, and that what then lies between two bounds is merged.
type reshardPlan struct {
	parents []uint32             // indexes of the open shards that are closed
	splits  [][]hashkey.Key      // by place in parents: where to cut, ascending
	bounds  map[hashkey.Key]bool // where the target ranges begin
}

// planReshard finds the shards that do not fit the target's bounds as they are.
func planReshard(info *StreamInfo, target int) *reshardPlan {
	open := openByRange(info)
	p := &reshardPlan{bounds: map[hashkey.Key]bool{}}
	cuts := make([][]hashkey.Key, len(open))
	i := 0
	for _, r := range hashkey.Even(target) {
		for i+1 < len(open) && !r.First.Less(open[i+1].Range.First) {
			i++
		}
		at := snap(r.First, open, i)
		p.bounds[at] = true
		if open[i].Range.CanSplit(at) {
			cuts[i] = append(cuts[i], at)
		}
	}
	for i, sh := range open {
		ends := sh.Range.Last == hashkey.Max() || p.bounds[sh.Range.Last.Next()]
		if len(cuts[i]) > 0 || !p.bounds[sh.Range.First] || !ends {
			p.parents = append(p.parents, sh.Index)
			p.splits = append(p.splits, cuts[i])
		}
	}
	return p
}

// snap returns the bound of open[i] that at as good as is, or at.
func snap(at hashkey.Key, open []*ShardInfo, i int) hashkey.Key {
	if off := at.Sub(open[i].Range.First); off.Hi == 0 && off.Lo <= reshardSlack {
		return open[i].Range.First
	}
	if i+1 < len(open) {
		if off := open[i+1].Range.First.Sub(at); off.Hi == 0 && off.Lo <= reshardSlack {
			return open[i+1].Range.First
		}
	}
	return at
}

// carryOut splits the parents and merges the pieces between two bounds, from the lowest key up.
func (p *reshardPlan) carryOut(r *reshape) {
	whole, begun := uint32(0), false // the shard that the pieces since the last bound have become
	for i, index := range p.parents {
		pieces := []uint32{index}
		for _, at := range p.splits[i] {
			left, right := r.split(pieces[len(pieces)-1], at)
			pieces = append(pieces[:len(pieces)-1], left, right)
		}
		for _, piece := range pieces {
			if !begun || p.bounds[r.next.Shard(piece).Range.First] {
				whole, begun = piece, true
			} else {
				whole = r.merge(whole, piece)
			}
		}
	}
}

// openByRange returns the open shards in the order of their hash keys. They alias info.
func openByRange(info *StreamInfo) []*ShardInfo {
	open := make([]*ShardInfo, 0, len(info.Shards))
	for i := range info.Shards {
		if info.Shards[i].Open() {
			open = append(open, &info.Shards[i])
		}
	}
	slices.SortFunc(open, func(a, b *ShardInfo) int { return a.Range.First.Compare(b.Range.First) })
	return open
}
