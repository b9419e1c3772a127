// Package machine says what machine the figures of a benchmark come from.
package machine

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// Machine is where figures come from. What a system does not tell is empty.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	System string `json:"system"`
	Go     string `json:"go"`
	Load   string `json:"load"` // average of the last minute
	Nice   int    `json:"nice,omitempty"`
}

// This is the machine as it is now.
func This() Machine {
	m := Machine{Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = field(string(data), "model name\t: ")
	}
	if data, err := os.ReadFile("/etc/os-release"); err == nil {
		m.System = strings.Trim(field(string(data), "PRETTY_NAME="), `"`) + ", " + m.System
	}
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(data), " ")
	}
	if p, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
		m.Nice = 20 - p // which is what the system call answers instead
	}
	return m
}

// String describes the machine when a run began.
func (m Machine) String() string {
	s := fmt.Sprintf("%s, %d cores, %s, %s, load average %s when the run began", m.CPU, m.Cores, m.System, m.Go, m.Load)
	if m.Nice != 0 {
		s += fmt.Sprintf(", which was at nice %d", m.Nice)
	}
	return s
}

// field returns the rest of the first line that begins with name.
func field(text, name string) string {
	for l := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(l, name); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
