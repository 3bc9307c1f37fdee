package engine

import (
	"context"
	"slices"
)

// SetDistribution says whether records are spread evenly over the shards, whatever their keys (AUTO), or routed by key:
// UpdateStreamRecordDistributionStrategy. It counts for records appended from now on, those behind AppendBatch excepted,
// whose producer has chosen the shard.
//
// CodeInUse where the stream is not ACTIVE; CodeInvalidArgument: AUTO on a provisioned stream.
func (s *Stream) SetDistribution(_ context.Context, auto bool) error {
	_, err := s.change(false, func(next *StreamInfo) (bool, *Error) {
		if auto && !next.OnDemand {
			return false, autoProvisioned(s.name)
		}
		changed := next.Settings.Auto != auto
		next.Settings.Auto = auto
		return changed, nil
	})
	return err
}

func autoProvisioned(n Name) *Error {
	return newError(CodeInvalidArgument, "RecordDistributionStrategy AUTO is not supported for stream %s under account %s: it is in Provisioned mode.",
		n.Stream, n.Account)
}

// distribute notes for n records whether and where AUTO distribution goes on.
func (a *appending) distribute(s *Stream, info *StreamInfo, n int) {
	if a.auto = info.Settings.Auto; a.auto {
		a.first = s.spread.Add(uint64(n)) - uint64(n)
	}
}

// spread deals the pending records out to the shards in turn: each gets the lowest hash key of its shard.
func (a *appending) spread(routes *routeMap) {
	n := len(a.pending)
	a.hashes = slices.Grow(a.hashes[:0], n)[:n]
	shards := uint64(len(routes.firsts))
	for i, at := range a.pending {
		a.hashes[i] = routes.firsts[(a.first+uint64(at))%shards]
	}
}
