//go:build unix

package loadgen

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

func readRusage(u *usage) {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return
	}
	u.user, u.system = time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano())
	u.switches = int64(r.Nvcsw) + int64(r.Nivcsw) //nolint:unconvert // int32 on some systems
	u.maxRSS = int64(r.Maxrss)                    //nolint:unconvert // likewise
	if runtime.GOOS != "darwin" {
		u.maxRSS <<= 10 // kilobytes
	}
}
