package engine

import (
	"context"
	"slices"
	"time"
)

const (
	modeChanges = 2 // capacity mode changes of a stream in modePeriod
	modePeriod  = 24 * time.Hour
)

// SetMode makes a stream on-demand or provisioned: UpdateStreamMode. Its shards stay. warmMiBps, where not 0, is set
// along with on-demand mode. Changing to the mode it has does nothing. With Options.Transition it is UPDATING for that
// long afterwards.
//
// Errors: CodeInUse where the stream is not ACTIVE, CodeLimitExceeded (two changes a day, 50 on-demand streams), those of
// SetWarmThroughput.
func (s *Stream) SetMode(_ context.Context, onDemand bool, warmMiBps int) error {
	now, counted := time.Now(), 0
	_, err := s.change(true, func(next *StreamInfo) (bool, *Error) {
		if warmMiBps != 0 {
			if err := s.e.checkWarm(s.name, onDemand, warmMiBps); err != nil {
				return false, err
			}
			next.Settings.WarmMiBps = warmMiBps
		}
		if next.OnDemand == onDemand {
			return warmMiBps != 0, nil
		}
		set := &next.Settings
		set.ModeChanges = slices.DeleteFunc(set.ModeChanges, func(sec int64) bool { return sec <= now.Add(-modePeriod).Unix() })
		if len(set.ModeChanges) >= modeChanges {
			return false, newError(CodeLimitExceeded, "Stream %s under account %s has reached the limit of %d capacity mode changes within 24 hours.",
				s.name.Stream, s.name.Account, modeChanges)
		}
		set.ModeChanges = append(set.ModeChanges, now.Unix())
		counted = 1
		if !onDemand {
			counted = -1
			set.Auto, set.WarmMiBps = false, 0 // on-demand streams only
		}
		if err := s.e.limits.addOnDemand(s.name, counted); err != nil {
			counted = 0
			return false, err
		}
		next.OnDemand = onDemand
		return true, nil
	})
	if err != nil && counted != 0 {
		_ = s.e.limits.addOnDemand(s.name, -counted) // what was refused is not counted; the way back is never over the limit
	}
	return err
}
