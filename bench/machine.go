package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine describes where a run took place.
type machine struct {
	cpu, kernel, memory, load string
	date                      string
}

func describeMachine() machine {
	return machine{
		cpu:    fmt.Sprintf("%s, %d cores", field("/proc/cpuinfo", "model name"), runtime.NumCPU()),
		kernel: "Linux " + first("/proc/sys/kernel/osrelease", 1),
		memory: field("/proc/meminfo", "MemTotal"),
		load:   first("/proc/loadavg", 3),
		date:   time.Now().UTC().Format("2006-01-02"),
	}
}

func (m machine) String() string {
	return fmt.Sprintf("%s; %s; %s; %s; load before the run %s; %s",
		m.cpu, m.memory, m.kernel, runtime.Version(), m.load, m.date)
}

// field returns the value of the first line "name : value" of a file.
func field(path, name string) string {
	data, _ := os.ReadFile(path)
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// first returns the first words of a file.
func first(path string, words int) string {
	data, _ := os.ReadFile(path)
	all := strings.Fields(string(data))
	return strings.Join(all[:min(words, len(all))], " ")
}
