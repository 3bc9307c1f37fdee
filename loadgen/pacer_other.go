//go:build !linux

package loadgen

import "time"

// sleeper wakes a worker up on time, as exactly as time.Sleep does on this system; the error is in the lag.
type sleeper struct{}

func newSleeper() (*sleeper, error)     { return &sleeper{}, nil }
func (s *sleeper) sleep(ns int64) error { time.Sleep(time.Duration(ns)); return nil }
func (s *sleeper) close() error         { return nil }
