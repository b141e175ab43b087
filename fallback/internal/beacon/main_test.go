package beacon

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/netif"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// childEnv has the settings of an announcer to run as a process of its own.
const childEnv = "BEACON_TEST_CHILD"

func TestMain(m *testing.M) {
	if settings := os.Getenv(childEnv); settings != "" {
		runChild(settings)
		return
	}
	os.Exit(m.Run())
}

// childSettings are what such a process is told.
type childSettings struct {
	UUID      [16]byte
	Port      int
	Selection netif.Selection
	Multicast []string
}

// runChild announces until its input ends, then says goodbye. Every line it
// prints is one thing that happened to it.
func runChild(settings string) {
	var s childSettings
	if err := json.Unmarshal([]byte(settings), &s); err != nil {
		fmt.Println("failed", err)
		return
	}
	links, _, err := s.Selection.Choose()
	if err != nil {
		fmt.Println("failed", err)
		return
	}
	a, err := Start(Config{
		Port: s.Port, Interval: 50 * time.Millisecond, Selection: s.Selection, Multicast: s.Multicast,
		Self: s.UUID, Payload: payload(s.UUID, 7), Logger: slog.New(logTo(func(line string) { fmt.Println("log", line) })),
		Relinked: func(l []netif.Link) { fmt.Println("relinked", l) },
	}, links, func(s Sighting) { fmt.Println("saw", name(s.Beacon.UUID), s.Beacon.Port, s.From.Addr()) })
	if err != nil {
		fmt.Println("failed", err)
		return
	}
	fmt.Println("started", links)
	io.Copy(io.Discard, os.Stdin)
	a.Goodbye(payload(s.UUID, 0)(netif.Link{}))
	a.Close()
}

// child is such a process, seen from the test.
type child struct {
	t     *testing.T
	lines chan string
	stop  func()
}

// startChild runs cmd, which must be this test binary, as an announcer.
func startChild(t *testing.T, cmd *exec.Cmd, s childSettings) *child {
	t.Helper()
	settings, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), childEnv+"="+string(settings))
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := cmd.Start(); err1 != nil || err2 != nil || err != nil {
		t.Fatal(err1, err2, err)
	}
	c := &child{t: t, lines: make(chan string, 10000), stop: func() { in.Close() }}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			select {
			case c.lines <- lines.Text():
			default: // nobody reads any more
			}
		}
	}()
	t.Cleanup(func() {
		c.stop()
		<-read
		cmd.Wait()
	})
	return c
}

// expect waits for a line that begins so and returns the rest of it.
func (c *child) expect(prefix string) string {
	c.t.Helper()
	deadline := time.After(patience)
	var last []string
	for {
		select {
		case line := <-c.lines:
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest
			}
			if strings.HasPrefix(line, "failed") {
				c.t.Fatal("the other process: " + line)
			}
			if !slices.Contains(last, line) {
				last = append(last, line)
			}
		case <-deadline:
			c.t.Fatalf("the other process did not say %q, but %q", prefix, last)
		}
	}
}

// name is a short readable form of a UUID of these tests.
func name(uuid [16]byte) string { return strings.TrimRight(string(uuid[:]), "\x00") }

// uuidOf is its inverse.
func uuidOf(name string) (uuid [16]byte) {
	copy(uuid[:], name)
	return uuid
}

// payload makes a Payload that is the same on every link.
func payload(uuid [16]byte, port uint16) func(netif.Link) []byte {
	datagram := (&zre.Beacon{UUID: uuid, Port: port}).Append(nil)
	return func(netif.Link) []byte { return datagram }
}

// logTo is a log handler that gives each line to a function.
type logTo func(line string)

func (logTo) Enabled(context.Context, slog.Level) bool { return true }
func (f logTo) WithAttrs([]slog.Attr) slog.Handler     { return f }
func (f logTo) WithGroup(string) slog.Handler          { return f }
func (f logTo) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	f(line)
	return nil
}
