package lab

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback"
)

// Foreign is a node that others wrote, in a process of its own. A small
// program of ours around it takes commands and tells events, a line of JSON
// each, see [command] and [line].
type Foreign struct {
	*Journal
	UUID     UUID
	Endpoint string

	t       testing.TB
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	replies chan line
	exited  chan struct{}
}

// Setup is how a foreign node is started. Those below Groups only libzyre
// understands.
type Setup struct {
	Name    string            `json:"name,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Groups  []string          `json:"groups,omitempty"` // to join before the start, if it can

	Port     int      `json:"port,omitempty"`    // of beacons, UDP
	Evasive  int      `json:"evasive,omitempty"` // ms
	Expired  int      `json:"expired,omitempty"` // ms
	Contests []string `json:"contests,omitempty"`

	Listen        string   `json:"listen,omitempty"` // endpoint
	GossipBind    []string `json:"gossipBind,omitempty"`
	GossipConnect []Hub    `json:"gossipConnect,omitempty"`

	Public  string `json:"public,omitempty"`  // Z85
	Secret  string `json:"secret,omitempty"`  // Z85
	Allowed string `json:"allowed,omitempty"` // folder of the certificates of those that may be peers
}

// Hub is a gossip server that a foreign node connects to.
type Hub struct {
	Endpoint string `json:"endpoint"`
	Key      string `json:"key,omitempty"` // Z85
}

// command is what a foreign node is asked to do.
type command struct {
	Do string `json:"do"` // start, join, leave, whisper, shout, flood, peers, stop
	Setup
	Peer   string   `json:"peer,omitempty"`  // whisper; flood: who acknowledges
	Group  string   `json:"group,omitempty"` // join, leave, shout; flood: to shout
	Frames [][]byte `json:"frames,omitempty"`
	Count  int      `json:"count,omitempty"`  // flood: how many
	Window int      `json:"window,omitempty"` // flood: how many without an acknowledgement
}

// line is what a foreign node says: the event that it got, the tally of
// numbered messages, or the reply to a command.
type line struct {
	Event   string            `json:"event"` // as libzyre writes it, or BULK
	Peer    string            `json:"peer"`
	Name    string            `json:"name"`
	Addr    string            `json:"addr"`
	Group   string            `json:"group"`
	Headers map[string]string `json:"headers"`
	Msg     [][]byte          `json:"msg"`
	Count   int               `json:"count"` // BULK
	Fault   string            `json:"fault"` // BULK: a number out of order

	Reply    string   `json:"reply"` // the command
	Error    string   `json:"error"`
	UUID     string   `json:"uuid"`     // of start
	Endpoint string   `json:"endpoint"` // of start
	Peers    []string `json:"peers"`    // of peers
}

// floodWindow is how many numbered messages a foreign node has under way. Pyre
// gives a peer up, and says nothing, when a thousand wait for it.
const floodWindow = 900

// Launch starts the program around a foreign node; the node is not yet started.
func Launch(t testing.TB, cmd *exec.Cmd) *Foreign {
	t.Helper()
	f := &Foreign{t: t, cmd: cmd, replies: make(chan line, 1), exited: make(chan struct{})}
	stdin, err := cmd.StdinPipe()
	f.must(err)
	stdout, err := cmd.StdoutPipe()
	f.must(err)
	cmd.Stderr = t.Output()
	f.must(cmd.Start())
	f.stdin = stdin
	f.Journal = newJournal(fmt.Sprintf("foreign node, process %d", cmd.Process.Pid))
	go f.listen(stdout)
	t.Cleanup(f.Kill)
	return f
}

// Start starts the node.
func (f *Foreign) Start(name string, headers map[string]string, groups ...string) {
	f.t.Helper()
	f.StartAs(Setup{Name: name, Headers: headers, Groups: groups})
}

// StartAs starts the node with all that can be set.
func (f *Foreign) StartAs(setup Setup) {
	f.t.Helper()
	r := f.do(command{Do: "start", Setup: setup})
	id, err := parseUUID(r.UUID)
	f.must(err)
	f.UUID, f.Endpoint = id, r.Endpoint
}

// Join makes the node a member of a group.
func (f *Foreign) Join(group string) {
	f.t.Helper()
	f.do(command{Do: "join", Group: group})
}

// Leave ends a membership.
func (f *Foreign) Leave(group string) {
	f.t.Helper()
	f.do(command{Do: "leave", Group: group})
}

// Whisper sends a message to a peer.
func (f *Foreign) Whisper(peer UUID, frames ...[]byte) {
	f.t.Helper()
	f.do(command{Do: "whisper", Peer: hex.EncodeToString(peer[:]), Frames: frames})
}

// Shout sends a message to a group.
func (f *Foreign) Shout(group string, frames ...[]byte) {
	f.t.Helper()
	f.do(command{Do: "shout", Group: group, Frames: frames})
}

// Flood sends numbered messages, whispered to the peer or, with a group,
// shouted there; the peer acknowledges them. count is a multiple of 1000.
func (f *Foreign) Flood(peer UUID, group string, count int) {
	f.t.Helper()
	f.do(command{Do: "flood", Peer: hex.EncodeToString(peer[:]), Group: group, Count: count, Window: floodWindow})
}

// Knows reports whether the node has that peer in its table.
func (f *Foreign) Knows(peer UUID) bool {
	f.t.Helper()
	for _, s := range f.do(command{Do: "peers"}).Peers {
		if id, err := parseUUID(s); err == nil && id == peer {
			return true
		}
	}
	return false
}

// Stop stops the node politely and ends its process.
func (f *Foreign) Stop() {
	f.t.Helper()
	f.do(command{Do: "stop"})
	f.must(f.stdin.Close())
	select {
	case <-f.exited:
	case <-time.After(patience):
		f.t.Fatalf("%s: does not end", f.owner)
	}
}

// Kill ends the process as a crash does.
func (f *Foreign) Kill() {
	_ = f.cmd.Process.Kill() // it may have ended
	<-f.exited
}

// do asks and waits for the reply.
func (f *Foreign) do(c command) line {
	f.t.Helper()
	text, err := json.Marshal(c)
	f.must(err)
	_, err = f.stdin.Write(append(text, '\n'))
	f.must(err)
	timeout := time.After(3 * patience)
	select {
	case r := <-f.replies:
		if r.Reply != c.Do || r.Error != "" {
			f.t.Fatalf("%s: %s: reply %q, error %q\n%s", f.owner, c.Do, r.Reply, r.Error, f.dump())
		}
		return r
	case <-f.exited:
		f.t.Fatalf("%s: ended before its reply to %s: %v\n%s", f.owner, c.Do, f.ended, f.dump())
	case <-timeout:
		f.t.Fatalf("%s: no reply to %s\n%s", f.owner, c.Do, f.dump())
	}
	panic("unreachable")
}

// listen reads what the node says until it ends.
func (f *Foreign) listen(stdout io.Reader) {
	defer close(f.exited)
	lines := bufio.NewReader(stdout)
	for {
		text, err := lines.ReadBytes('\n')
		if err == nil {
			err = f.heard(text)
		}
		if err != nil {
			f.end(errors.Join(err, f.cmd.Wait()))
			return
		}
	}
}

func (f *Foreign) heard(text []byte) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return fmt.Errorf("%w: %q", err, text)
	}
	if l.Reply != "" {
		f.replies <- l
		return nil
	}
	peer, err := parseUUID(l.Peer)
	if err != nil {
		return err
	}
	if l.Event == "BULK" {
		f.count(peer, func(total *tally) { *total = tally{count: l.Count, fault: l.Fault} })
		return nil
	}
	kind, ok := kinds[l.Event]
	if !ok {
		return fmt.Errorf("unknown event: %q", text)
	}
	f.add(Event{Kind: kind, Peer: peer, Name: l.Name, Addr: l.Addr, Group: l.Group, Headers: l.Headers, Msg: l.Msg})
	return nil
}

func (f *Foreign) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// kinds are the events by the names that all implementations use.
var kinds = map[string]fallback.Kind{
	"ENTER": fallback.Enter, "EXIT": fallback.Exit, "JOIN": fallback.Join, "LEAVE": fallback.Leave,
	"WHISPER": fallback.Whisper, "SHOUT": fallback.Shout, "STOP": fallback.Stop,
	"EVASIVE": fallback.Evasive, "SILENT": fallback.Silent, "LEADER": fallback.Leader,
}

func parseUUID(s string) (id UUID, err error) {
	n, err := hex.Decode(id[:], []byte(strings.ReplaceAll(s, "-", "")))
	if err == nil && n != len(id) {
		err = fmt.Errorf("UUID %q", s)
	}
	return id, err
}
