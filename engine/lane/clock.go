package lane

import (
	"sync/atomic"
	"time"
)

// Clock constants.
const (
	// clockSlack is how far the wall clock may run ahead before the lane's clock follows: above the noise of two readings
	// taken one after the other, below what anyone notices in an arrival time.
	clockSlack = int64(10 * time.Millisecond / time.Microsecond)
	// clockFollow is how often, at most, the wall clock is looked at.
	clockFollow = int64(time.Second / time.Microsecond)
)

// clock gives arrival times: the wall clock at open plus the monotonic time since. It follows the wall clock when that is
// set forward, and never goes back, whatever happens to the wall clock.
//
// now may be called concurrently. If one call returns before another starts, the second does not return less: base only
// grows, and so does the monotonic clock, on all processors alike.
type clock struct {
	start    time.Time
	base     atomic.Int64 // microseconds to add to the time since start
	followed int64        // when follow last looked; of the flusher alone
}

// newClock starts a clock that returns at least floor, the last arrival time the log already holds.
func newClock(floor int64) *clock {
	c := &clock{start: time.Now()}
	c.base.Store(max(c.start.UnixMicro(), floor))
	return c
}

// now is the time in microseconds since 1970.
func (c *clock) now() int64 {
	return c.base.Load() + int64(time.Since(c.start)/time.Microsecond)
}

// follow catches up with a wall clock that was set forward. One goroutine calls it.
func (c *clock) follow() {
	now := c.now()
	if now-c.followed < clockFollow {
		return
	}
	c.followed = now
	c.catchUp(time.Now().UnixMicro())
}

// catchUp moves the clock forward to wall if it is far behind it.
func (c *clock) catchUp(wall int64) {
	if behind := wall - c.now(); behind > clockSlack {
		c.base.Add(behind)
	}
}
