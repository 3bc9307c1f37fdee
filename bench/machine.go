package bench

import (
	"os"
	"runtime"
	"strings"
)

// Machine says where a report was made.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Memory string `json:"memory"`
	Go     string `json:"go"`
	Disk   string `json:"file_system"`
}

// thisMachine reads what Linux tells about itself; elsewhere the fields stay empty.
func thisMachine(dir string) Machine {
	return Machine{
		CPU:    after("/proc/cpuinfo", "model name"),
		Cores:  runtime.NumCPU(),
		Kernel: firstLine("/proc/sys/kernel/osrelease"),
		Memory: after("/proc/meminfo", "MemTotal"),
		Go:     runtime.Version(),
		Disk:   fileSystem(dir),
	}
}

func firstLine(name string) string {
	data, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

// after returns what follows the colon on the first line that begins with key.
func after(name, key string) string {
	data, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			_, value, _ := strings.Cut(rest, ":")
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}
