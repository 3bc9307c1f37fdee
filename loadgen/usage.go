package loadgen

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// CPUUse is processor time during the measurement.
type CPUUse struct {
	UserSeconds    float64 `json:"cpu_user_seconds"`
	SystemSeconds  float64 `json:"cpu_system_seconds"`
	NanosPerRecord float64 `json:"cpu_ns_per_record"`
	NanosPerByte   float64 `json:"cpu_ns_per_byte"`
}

// GeneratorUse is what this process took during the measurement.
type GeneratorUse struct {
	CPUUse
	ContextSwitches int64   `json:"context_switches"`
	MaxRSSBytes     int64   `json:"max_rss_bytes"` // highest ever
	GCCycles        int64   `json:"gc_cycles"`
	GCPauseMicros   float64 `json:"gc_pause_us"` // all pauses together
	AllocatedBytes  int64   `json:"allocated_bytes"`
	Allocations     int64   `json:"allocations"`
}

// ServerUse is what the target's process took during the measurement.
type ServerUse struct {
	CPUUse
	MaxRSSBytes int64 `json:"max_rss_bytes"` // highest ever
}

// usage is a reading of the counters behind GeneratorUse and ServerUse.
type usage struct {
	user, system time.Duration
	switches     int64
	maxRSS       int64
	mem          runtime.MemStats
	server       *serverUsage
}

// serverUsage is what can be read of another process.
type serverUsage struct {
	user, system time.Duration
	rss          int64
}

// readUsage reads the counters of this process and of the one with the given id, if any. It stops the world for some
// microseconds.
func readUsage(pid int) usage {
	u := usage{server: readServer(pid)}
	readRusage(&u)
	runtime.ReadMemStats(&u.mem)
	return u
}

// since returns what happened between u and later, for this process and the target's; nil where that cannot be read.
func (u usage) since(later usage) (*GeneratorUse, *ServerUse) {
	own := &GeneratorUse{
		CPUUse:          cpuUse(later.user-u.user, later.system-u.system),
		ContextSwitches: later.switches - u.switches,
		MaxRSSBytes:     later.maxRSS,
		GCCycles:        int64(later.mem.NumGC) - int64(u.mem.NumGC),
		GCPauseMicros:   float64(later.mem.PauseTotalNs-u.mem.PauseTotalNs) / 1e3,
		AllocatedBytes:  int64(later.mem.TotalAlloc - u.mem.TotalAlloc),
		Allocations:     int64(later.mem.Mallocs - u.mem.Mallocs),
	}
	if u.server == nil || later.server == nil {
		return own, nil
	}
	return own, &ServerUse{
		CPUUse:      cpuUse(later.server.user-u.server.user, later.server.system-u.server.system),
		MaxRSSBytes: later.server.rss,
	}
}

func cpuUse(user, system time.Duration) CPUUse {
	return CPUUse{UserSeconds: user.Seconds(), SystemSeconds: system.Seconds()}
}

// per fills in the costs per record and byte.
func (c *CPUUse) per(records, bytes int64) {
	if records == 0 || bytes == 0 {
		return
	}
	ns := (c.UserSeconds + c.SystemSeconds) * 1e9
	c.NanosPerRecord, c.NanosPerByte = ns/float64(records), ns/float64(bytes)
}

// clockTick is the unit of times in /proc/PID/stat: USER_HZ, 100 on every Linux architecture Go runs on.
const clockTick = 10 * time.Millisecond

// readServer reads another process's times and memory from /proc; nil where that is not possible.
func readServer(pid int) *serverUsage {
	if pid <= 0 {
		return nil
	}
	dir := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil
	}
	// The name, in parentheses, may hold anything; what follows its last parenthesis is numbers.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return nil
	}
	ticks := func(s string) time.Duration {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0
		}
		return time.Duration(n) * clockTick
	}
	kb, _, _ := strings.Cut(procField(dir+"/status", "VmHWM"), " ")
	rss, err := strconv.ParseInt(kb, 10, 64)
	if err != nil {
		rss = 0
	}
	return &serverUsage{user: ticks(f[11]), system: ticks(f[12]), rss: rss << 10}
}
