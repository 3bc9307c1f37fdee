//go:build lanestress

package lane

import (
	"math/rand/v2"
	"runtime"
	"time"
)

// stress yields at one point in four and sleeps at one in 512.
func stress(stressPoint) {
	switch n := rand.Uint32N(512); {
	case n == 0:
		time.Sleep(time.Duration(rand.Uint32N(200)) * time.Microsecond)
	case n < 128:
		runtime.Gosched()
	}
}
