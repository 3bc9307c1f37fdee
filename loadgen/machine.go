package loadgen

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Machine is what the run ran on; results of different machines cannot be compared.
type Machine struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	GOMAXPROCS  int    `json:"gomaxprocs"`
	Kernel      string `json:"kernel"`
	OS          string `json:"os"`
	Arch        string `json:"arch"`
	MemoryBytes int64  `json:"memory_bytes"`
	Filesystem  string `json:"filesystem"`   // of the target's data, where told; otherwise empty
	DirtyRatio  string `json:"dirty_ratio"`  // vm.dirty_ratio / vm.dirty_background_ratio
	HugePages   string `json:"huge_pages"`   // transparent huge pages
	Go          string `json:"go"`           //
	Build       string `json:"build"`        // revision of the generator, with + where the tree was modified
	ClockSource string `json:"clock_source"` //
}

// readMachine asks the system. What cannot be told is empty or zero.
func readMachine(dataDir string) Machine {
	return Machine{
		CPU: cpuModel(), Cores: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
		Kernel: firstLine("/proc/sys/kernel/osrelease"), OS: runtime.GOOS, Arch: runtime.GOARCH,
		MemoryBytes: memoryBytes(), Filesystem: filesystem(dataDir),
		DirtyRatio:  firstLine("/proc/sys/vm/dirty_ratio") + "/" + firstLine("/proc/sys/vm/dirty_background_ratio"),
		HugePages:   chosen(firstLine("/sys/kernel/mm/transparent_hugepage/enabled")),
		ClockSource: firstLine("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
		Go:          runtime.Version(), Build: buildID(),
	}
}

func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}

// chosen returns the bracketed word of a kernel setting such as "always [madvise] never".
func chosen(s string) string {
	_, after, _ := strings.Cut(s, "[")
	word, _, _ := strings.Cut(after, "]")
	return word
}

func cpuModel() string { return procField("/proc/cpuinfo", "model name") }

// procField returns the value of the first "name : value" line.
func procField(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // only read
	s := bufio.NewScanner(f)
	for s.Scan() {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func memoryBytes() int64 {
	kb, _, _ := strings.Cut(procField("/proc/meminfo", "MemTotal"), " ")
	n, err := strconv.ParseInt(kb, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// filesystem names the type of the filesystem that holds dir: the mount with the longest matching path.
func filesystem(dir string) string {
	if dir == "" {
		return ""
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	best, kind := "", ""
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 3 || len(f[1]) < len(best) {
			continue
		}
		if abs == f[1] || strings.HasPrefix(abs, strings.TrimSuffix(f[1], "/")+"/") {
			best, kind = f[1], f[2]
		}
	}
	return kind
}

func buildID() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+"
			}
		}
	}
	return revision + dirty
}
