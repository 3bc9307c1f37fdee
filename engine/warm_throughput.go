package engine

import (
	"context"

	"github.com/shardmill/shardmill/engine/catalog"
)

// maxWarmMiBps is the highest warm throughput: 10 GiB/s.
const maxWarmMiBps = 10 << 10

// WarmThroughput is what a stream has been asked to be ready for, and what it is ready for, in MiB/s.
type WarmThroughput struct{ Target, Current int }

// SetWarmThroughput asks an on-demand stream to be ready for a rate: UpdateStreamWarmThroughput. The rate is kept and
// returned; the stream takes what the machine takes either way. With Options.Transition it is UPDATING for that long
// afterwards.
//
// Errors: CodeInUse where the stream is not ACTIVE, CodeValidation where it is provisioned or the account has not
// committed to a minimum throughput, CodeLimitExceeded above 10 GiB/s.
func (s *Stream) SetWarmThroughput(_ context.Context, mibps int) (WarmThroughput, error) {
	info, err := s.change(true, func(next *StreamInfo) (bool, *Error) {
		if err := s.e.checkWarm(s.name, next.OnDemand, mibps); err != nil {
			return false, err
		}
		changed := next.Settings.WarmMiBps != mibps
		next.Settings.WarmMiBps = mibps
		return changed, nil
	})
	if err != nil {
		return WarmThroughput{}, err
	}
	return WarmThroughput{Target: mibps, Current: currentMiBps(info)}, nil
}

// WarmOf returns the warm throughput of a stream; ok is false where none was ever asked for.
func WarmOf(info *StreamInfo) (w WarmThroughput, ok bool) {
	if info.Settings.WarmMiBps == 0 {
		return w, false
	}
	w.Target, w.Current = info.Settings.WarmMiBps, info.Settings.WarmMiBps
	if info.Status != catalog.Active {
		w.Current = info.OpenShards()
	}
	return w, true
}

// currentMiBps is what a stream is ready for: 1 MiB/s per shard unless more was asked for.
func currentMiBps(info *StreamInfo) int { return max(info.OpenShards(), info.Settings.WarmMiBps) }

func (e *Engine) checkWarm(n Name, onDemand bool, mibps int) *Error {
	switch {
	case !onDemand:
		return newError(CodeValidation, "Request is invalid. Stream %s under account %s is in Provisioned mode.", n.Stream, n.Account)
	case !e.Commitment(n.Account, n.Region).Active:
		return newError(CodeValidation, "Request is invalid. MinimumThroughputBillingCommitment is not enabled for account %s in %s.", n.Account, n.Region)
	case mibps < 0 || mibps > maxWarmMiBps:
		return newError(CodeLimitExceeded, "WarmThroughputMiBps must not be greater than %d. Specified value was %d", maxWarmMiBps, mibps)
	}
	return nil
}
