package lane

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The clock follows the wall clock forward, never back, and never below what the log holds.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().UnixMicro()
		c := newClock(0)
		if got := c.now(); got != start {
			t.Fatalf("starts at %d, want %d", got, start)
		}
		time.Sleep(1500 * time.Microsecond)
		if got := c.now(); got != start+1500 {
			t.Fatalf("after 1500 us: %d", got-start)
		}
		f := func(wall, want int64) {
			t.Helper()
			c.catchUp(wall)
			if got := c.now(); got != want {
				t.Fatalf("wall clock at %d: %d, want %d", wall-start, got-start, want-start)
			}
		}
		now := start + 1500
		f(now-3_600_000_000, now)                            // set back an hour
		f(now+clockSlack, now)                               // noise
		f(now+3_600_000_000, now+3_600_000_000)              // set forward an hour
		f(now, now+3_600_000_000)                            // and back
		time.Sleep(time.Second)                              // goes on from there
		f(now, now+3_600_000_000+1_000_000)                  //
		if c := newClock(start + 9e9); c.now() < start+9e9 { // the log is ahead of the wall clock
			t.Fatal("below the last arrival in the log")
		}
		c.follow() // the wall clock is behind: nothing happens
		if got := c.now(); got != now+3_600_000_000+1_000_000 {
			t.Fatalf("follow went to %d", got-start)
		}
	})
}

// Readings never decrease, for one goroutine and from one to another, while the clock is being moved.
func TestClockOrder(t *testing.T) {
	c := newClock(0)
	var mu sync.Mutex
	var last int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 2000 {
				mu.Lock()
				if now := c.now(); now < last {
					t.Errorf("%d after %d", now, last)
				} else {
					last = now
				}
				mu.Unlock()
				if i == 0 && n%50 == 0 {
					c.catchUp(c.now() + 20_000)
				}
			}
		})
	}
	wg.Wait()
}
