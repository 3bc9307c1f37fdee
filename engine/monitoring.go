package engine

import "context"

// SetMetrics switches shard-level metrics on (EnableEnhancedMonitoring) or off (DisableEnhancedMonitoring), one bit each,
// and returns what was on before and what is on now. CodeInUse where the stream is not ACTIVE.
func (s *Stream) SetMetrics(_ context.Context, bits uint8, on bool) (before, after uint8, err error) {
	info, err := s.change(false, func(next *StreamInfo) (bool, *Error) {
		before = next.Settings.Metrics
		if after = before | bits; !on {
			after = before &^ bits
		}
		next.Settings.Metrics = after
		return after != before, nil
	})
	if info == nil {
		return 0, 0, err
	}
	return before, after, err
}
