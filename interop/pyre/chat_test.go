//go:build linux

package pyre

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// TestChat has our chat example in one room with a Pyre node that does what
// Pyre's chat example does: it is called CHAT, has two headers, joins the
// group CHAT before it starts and shouts each line, without its end.
func TestChat(t *testing.T) {
	netlab.Need(t)
	pyre := lab.Launch(t, exec.Command(findPython(t), "testdata/peer.py"))
	pyre.Start("CHAT", map[string]string{
		"CHAT_Header1": "example header1",
		"CHAT_Header2": "example header2",
	}, "CHAT")
	alice := startChat(t, "alice")
	alice.expect("CHAT has come in")

	id := pyre.Someone(t, "alice")
	pyre.Until(t, id, fallback.Join)
	alice.say("hello, Python")
	if ev := pyre.Next(t, id, fallback.Shout); ev.Group != "CHAT" || len(ev.Msg) != 1 || string(ev.Msg[0]) != "hello, Python" {
		t.Errorf("Shout to %q: %q", ev.Group, ev.Msg)
	}
	pyre.Shout("CHAT", []byte("grüß dich, Go"))
	alice.expect("CHAT: grüß dich, Go")
	alice.say("/whisper CHAT psst")
	if ev := pyre.Next(t, id, fallback.Whisper); len(ev.Msg) != 1 || string(ev.Msg[0]) != "psst" {
		t.Errorf("Whisper: %q", ev.Msg)
	}
	pyre.Stop()
	alice.expect("CHAT has left")
	alice.leave()
}

// chat is our chat example, at work.
type chat struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
}

func startChat(t *testing.T, name string) *chat {
	t.Helper()
	program := filepath.Join(t.TempDir(), "chat")
	build := exec.Command("go", "build", "-tags", "purego", "-o", program, "./examples/chat")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := &chat{t: t, cmd: exec.CommandContext(t.Context(), program, "-name", name, "-interface", lab.Interface), lines: make(chan string, 100)}
	c.cmd.Stderr = t.Output()
	in, err := c.cmd.StdinPipe()
	c.must(err)
	out, err := c.cmd.StdoutPipe()
	c.must(err)
	c.must(c.cmd.Start())
	c.in = in
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- s.Text()
		}
	}()
	return c
}

func (c *chat) say(line string) {
	c.t.Helper()
	_, err := io.WriteString(c.in, line+"\n")
	c.must(err)
}

// expect reads on to a line with that text.
func (c *chat) expect(text string) {
	c.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("the chat has ended without %q", text)
			}
			c.t.Log(line)
			if strings.Contains(line, text) {
				return
			}
		case <-timeout:
			c.t.Fatalf("no line with %q", text)
		}
	}
}

// leave ends the input, as Ctrl-D does.
func (c *chat) leave() {
	c.t.Helper()
	c.must(c.in.Close())
	for range c.lines {
	}
	c.must(c.cmd.Wait())
}

func (c *chat) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}
