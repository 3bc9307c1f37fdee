package engine

import (
	"context"
	"slices"
	"time"

	"github.com/shardmill/shardmill/engine/lane"
)

const (
	minRetention = 24 // hours
	maxRetention = 8760
)

// SetRetention changes how long records stay, in hours: IncreaseStreamRetentionPeriod or DecreaseStreamRetentionPeriod.
// A shorter period hides records at once. A longer one shows again what is hidden but has not been trimmed yet.
func (s *Stream) SetRetention(_ context.Context, hours int, increase bool) error {
	s.control.Lock()
	defer s.control.Unlock()
	info, err := s.exists()
	if err != nil {
		return err
	}
	if err := checkRetention(info, hours, increase); err != nil {
		return err
	}
	if err := s.e.failed.Load(); err != nil {
		return err
	}
	next := info.Clone()
	next.RetentionHours = hours
	return asError(s.commit(next, nil))
}

func checkRetention(info *StreamInfo, hours int, increase bool) *Error {
	const text = "Requested retention period (%d hours) for stream %s can not be %s than existing retention period (%d hours). Use %sRetentionPeriod API."
	switch have := info.RetentionHours; {
	case hours < minRetention:
		return newError(CodeInvalidArgument, "Minimum allowed retention period is %d hours. Requested retention period (%d hours) is too short.",
			minRetention, hours)
	case hours > maxRetention:
		return newError(CodeInvalidArgument, "Maximum allowed retention period is %d hours. Requested retention period (%d hours) is too long.",
			maxRetention, hours)
	case increase && hours < have:
		return newError(CodeInvalidArgument, text, hours, info.Name.Stream, "shorter", have, "Decrease")
	case !increase && hours > have:
		return newError(CodeInvalidArgument, text, hours, info.Name.Stream, "longer", have, "Increase")
	}
	return nil
}

// cutoff is the arrival time before which a stream's records have expired, in microseconds.
func cutoff(info *StreamInfo, now time.Time) int64 {
	return now.Add(-time.Duration(info.RetentionHours) * time.Hour).UnixMicro()
}

// expire frees what nobody can read any more: segments older than the longest retention of any stream, and closed shards
// whose last record has expired. A segment that cannot be removed is tried again the next time; Err tells meanwhile.
func (e *Engine) expire(now time.Time) *Error {
	oldest := now.UnixMicro()
	var failed *Error
	e.names.Range(func(_, v any) bool {
		s := v.(*Stream)
		oldest = min(oldest, cutoff(s.Info(), now))
		failed = s.dropExpired(now)
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	if before := trimPoint(e.lane.Segments(), oldest); before > e.lane.Horizon() {
		e.trimmed.Store(nil)
		if err := e.lane.Trim(before); err != nil {
			e.trimmed.Store(laneError(err))
		}
	}
	return nil
}

// trimPoint is where the run of sealed segments ends whose last batch arrived before oldest. Segments without a batch
// go with their predecessors.
func trimPoint(segments []lane.SegmentInfo, oldest int64) uint64 {
	before := uint64(0)
	for _, g := range segments {
		if !g.Sealed || g.LastMicros >= oldest {
			break
		}
		before = g.End
	}
	return before
}

// dropExpired forgets closed shards of which no record is left: all arrived before the shard was closed, and that is
// longer ago than the retention.
func (s *Stream) dropExpired(now time.Time) *Error {
	expired := func(info *StreamInfo) func(ShardInfo) bool {
		limit := now.Add(-time.Duration(info.RetentionHours) * time.Hour).Unix()
		return func(sh ShardInfo) bool { return !sh.Open() && sh.ClosedSeconds < limit }
	}
	if info := s.Info(); !slices.ContainsFunc(info.Shards, expired(info)) {
		return nil
	}
	s.control.Lock()
	defer s.control.Unlock()
	info, err := s.exists()
	if err != nil {
		return nil // the stream is gone, and its shards with it
	}
	next := info.Clone()
	next.Shards = slices.DeleteFunc(next.Shards, expired(info))
	return s.commit(next, nil)
}
