package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

// tiny is enough to see that something moves.
var tiny = pace{warm: 5 * time.Millisecond, run: 20 * time.Millisecond, settle: 0, idle: 50 * time.Millisecond, deadline: 30 * time.Second}

// buildFor builds the worker of a driver, or skips the test where its library
// is not installed. What needs only Go must always build.
func buildFor(t *testing.T, d driver) string {
	t.Helper()
	program, err := d.build(t.Context(), t.TempDir())
	switch {
	case err == nil:
		return program
	case d.name() == "fallback" || d.name() == tcpName:
		t.Fatal(err)
	}
	t.Skipf("SKIPPED: %s is not measured here: %v", d.name(), err)
	return ""
}

// small are all workloads, with a mesh that a busy machine can carry.
func small() []*workload {
	list := []*workload{newMesh(6, discovery, memoryPerNode, idleCPU)}
	for _, w := range workloads {
		if w.kind != mesh {
			list = append(list, w)
		}
	}
	return list
}

// Every library moves every workload, and loses nothing.
func TestDrivers(t *testing.T) {
	engines := map[string]string{"fallback": "fallback ", "cgo": "libzyre ", "c": "libzyre ", "libzmq": "libzmq ", "tcp": "package net"}
	for _, d := range drivers {
		t.Run(d.name(), func(t *testing.T) {
			program := buildFor(t, d)
			for _, w := range small() {
				if d.lacks(w) != "" {
					continue
				}
				t.Run(w.name, func(t *testing.T) {
					m := measurement{driver: d, load: w, program: program, pace: tiny, net: &network{}}
					s, err := m.run()
					if err != nil {
						t.Fatal(err)
					}
					checkSample(t, w, s)
					if !strings.HasPrefix(s.version, engines[d.name()]) {
						t.Errorf("the worker runs on %q", s.version)
					}
				})
			}
		})
	}
}

func checkSample(t *testing.T, w *workload, s sample) {
	t.Helper()
	if s.flaws != "" {
		t.Error(s.flaws)
	}
	for _, m := range w.figures {
		v, ok := s.values[m]
		// They may use less CPU time in that time than the kernel counts,
		// and may all know each other before the last start has returned.
		if !ok || v < 0 || v == 0 && m != idleCPU && m != processor && m != discovery {
			t.Errorf("%s is %v", m.title(w), v)
		}
	}
	if p := s.values; p[p99] < p[p50] {
		t.Errorf("99th percentile %v is below the median %v", p[p99], p[p50])
	}
}

// A worker ends with its input, also while it is waiting for messages: the
// benchmark may have died.
func TestWorkersEndWithTheirInput(t *testing.T) {
	for _, d := range drivers {
		t.Run(d.name(), func(t *testing.T) {
			m := measurement{driver: d, load: workloads[0], program: buildFor(t, d), pace: tiny, net: &network{}}
			if err := m.startWorkers(); err != nil {
				t.Fatal(err)
			}
			if _, _, err := m.assemble(); err != nil {
				t.Fatal(err)
			}
			// Nobody sends. The worker reads this before the end of its input.
			if err := m.workers[1].send(m.load.request(protocol.Receive, tiny)); err != nil {
				t.Fatal(err)
			}
			for _, w := range m.workers {
				w.stop()
				if code := w.cmd.ProcessState.ExitCode(); code != 0 {
					t.Errorf("worker ended with %d", code)
				}
			}
		})
	}
}

// What a worker cannot do is an error with what it said, not a hang.
func TestWorkerErrors(t *testing.T) {
	w, err := startProcess(buildFor(t, tcp{}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop()
	if _, err := w.ask(protocol.Request{Do: protocol.Send, DeadlineMS: 1000}); err == nil || !strings.Contains(err.Error(), "before open") {
		t.Errorf("send before open: %v", err)
	}
	if _, err := w.ask(protocol.Request{Do: protocol.Open, Nodes: 1, DeadlineMS: 1000}); err != nil {
		t.Error(err)
	}
	if _, err := w.ask(protocol.Request{Do: "dance", DeadlineMS: 1000}); err == nil || !strings.Contains(err.Error(), "dance") {
		t.Errorf("unknown request: %v", err)
	}
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-w.reaped
	if _, err := w.ask(protocol.Request{Do: protocol.Peers, DeadlineMS: 1000}); err == nil {
		t.Error("a dead worker answered")
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	me, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	self := &process{cmd: &exec.Cmd{Process: me}}
	memory, err := self.resident()
	if err != nil || memory < 1<<20 || memory > 1<<32 {
		t.Errorf("resident: %d, %v", memory, err)
	}
	before, err := self.cpuTime()
	if err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(10 * time.Second); ; {
		after, err := self.cpuTime() // reading it takes time
		if err != nil {
			t.Fatal(err)
		}
		if after > before {
			break
		}
		if time.Now().After(until) {
			t.Fatal("no CPU time in ten seconds")
		}
	}
}
