//go:build cgo && !purego

package zyre

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func init() { programs["log"] = programLog }

// outputBuffer collects what several goroutines write.
type outputBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *outputBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *outputBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func textLogger(b *outputBuffer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: level}))
}

func TestLibraryLogsToLogger(t *testing.T) {
	var ofA, ofB outputBuffer
	opts := beacons(t)
	a := startNode(t, "a", append(opts, WithLogger(textLogger(&ofA, slog.LevelDebug)))...)
	b := startNode(t, "b", append(opts, WithLogger(textLogger(&ofB, slog.LevelInfo)))...)
	meet(t, a, b)
	waitFor(t, "libzyre's line in the log of a", func() bool {
		return strings.Contains(ofA.String(), `msg="(a) ENTER name=b`)
	})
	if text := ofB.String(); strings.Contains(text, "(a)") {
		t.Errorf("lines of a in the log of b:\n%s", text)
	}
	if text := ofB.String(); !strings.Contains(text, "node started") {
		t.Errorf("log of b:\n%s", text)
	}
}

// asker is a log that asks the node at each line.
type asker struct {
	slog.Handler
	node atomic.Pointer[Node]
}

func (a *asker) WithAttrs([]slog.Attr) slog.Handler           { return a }
func (a *asker) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (a *asker) Handle(context.Context, slog.Record) error {
	a.node.Load().UUID()
	return nil
}

func TestLoggerMayAskTheNode(t *testing.T) {
	a := &asker{Handler: slog.DiscardHandler}
	n := newNode(t, "n", WithEndpoint(anyLocal), WithLogger(slog.New(a)))
	a.node.Store(n)
	within(t, "Start", func() { must(t, n.Start(t.Context())) })
}

// programLog makes libzyre write as much log as it can, and prints that to
// standard error.
func programLog() int {
	var log outputBuffer
	n, err := New("program", WithEndpoint("tcp://127.0.0.1:*"), WithLogger(textLogger(&log, slog.LevelDebug)))
	if err == nil {
		err = n.Start(noContext)
	}
	if err == nil {
		err = n.Close()
	}
	fmt.Fprint(os.Stderr, log.String(), err)
	return 0
}

func TestNothingOnStandardOutput(t *testing.T) {
	stdout, stderr, _ := runProgram(t, "log")
	if stdout != "" {
		t.Errorf("standard output: %s", stdout)
	}
	if !strings.Contains(stderr, "library=libzyre") {
		t.Errorf("libzyre has logged nothing; the test shows nothing: %s", stderr)
	}
}

func TestParseLogLine(t *testing.T) {
	for _, c := range []struct {
		line  string
		level slog.Level
		text  string
	}{
		{"E: 26-11-22 17:00:00 it broke", slog.LevelError, "it broke"},
		{"W: 26-11-22 17:00:00 (a) messages lost from b", slog.LevelWarn, "(a) messages lost from b"},
		{"N: 26-11-22 17:00:00 note", slog.LevelInfo, "note"},
		{"I: 26-11-22 17:00:00 (a) JOIN name=b", slog.LevelDebug, "(a) JOIN name=b"},
		{"D: 26-11-22 17:00:00 detail", slog.LevelDebug, "detail"},
		{"anything else", slog.LevelInfo, "anything else"},
		{"", slog.LevelInfo, ""},
	} {
		if level, text := parseLogLine(c.line); level != c.level || text != c.text {
			t.Errorf("%q is %v %q, want %v %q", c.line, level, text, c.level, c.text)
		}
	}
}
