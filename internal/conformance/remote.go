package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/remote"
)

// Remote is a node in a process of its own.
type Remote struct {
	t       testing.TB
	client  *remote.Client
	process *os.Process
	killed  bool
}

var _ Node = (*Remote)(nil)

// Launch makes a node in a process of its own, which ends with the test. The
// process is this test binary, started by command (exec.Command, or Command
// of a host of package netlab), and it runs the one test of that name, which
// must call [Serve] with the factory.
func Launch(t testing.TB, command func(name string, args ...string) *exec.Cmd, serveTest string,
	f Factory, name string, o Options) *Remote {
	t.Helper()
	r := &Remote{t: t}
	if err := r.launch(command, serveTest, f.Name); err != nil {
		t.Fatalf("node %q in a process of its own: %v", name, err)
	}
	if err := r.call("Open", OpenArgs{name, o}, &None{}); err != nil {
		t.Fatalf("new node %q: %v", name, err)
	}
	return r
}

func (r *Remote) launch(command func(name string, args ...string) *exec.Cmd, serveTest, factory string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := command(self, "-test.run=^"+serveTest+"$")
	cmd.Env = append(os.Environ(), serveEnv+"="+factory)
	if r.client, err = remote.Start(cmd); err != nil {
		return err
	}
	r.process = cmd.Process
	r.t.Cleanup(func() {
		r.client.Close()
		r.process.Kill() // it may be stopped, or hang
		cmd.Wait()       // the result is that of the kill
	})
	return nil
}

// Kill ends the process at once, as kill -9 does. What it listened on is free
// then.
func (r *Remote) Kill() {
	r.t.Helper()
	r.killed = true
	if err := r.process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.process.Wait(); err != nil {
		r.t.Fatal(err)
	}
}

// sentinels are the errors that keep their identity on the way.
var sentinels = []error{
	zyre.ErrClosed, zyre.ErrNotStarted, zyre.ErrStarted, zyre.ErrNoInterface, zyre.ErrUnknownPeer,
	zyre.ErrEmptyMessage, zyre.ErrTooLarge, zyre.ErrInvalid, context.DeadlineExceeded,
	errors.ErrUnsupported, syscall.EADDRINUSE,
}

func (r *Remote) call(method string, args, reply any) error {
	return restore(r.client.Call(method, args, reply))
}

// restore makes the error of package zyre again out of its text.
func restore(err error) error {
	var text remote.Error
	if !errors.As(err, &text) {
		return err
	}
	for _, s := range sentinels {
		if strings.Contains(string(text), s.Error()) {
			return fmt.Errorf("%w (in another process: %s)", s, text)
		}
	}
	return err
}

func (r *Remote) Start(context.Context) error { return r.call("Start", None{}, &None{}) }
func (r *Remote) Stop() error                 { return r.call("Stop", None{}, &None{}) }
func (r *Remote) Join(group string) error     { return r.call("Join", Target{Group: group}, &None{}) }
func (r *Remote) Leave(group string) error    { return r.call("Leave", Target{Group: group}, &None{}) }

// Close closes the node. In a process that was killed there is nothing to
// close; one that ended by itself is an error.
func (r *Remote) Close() error {
	if r.killed {
		return nil
	}
	return r.call("Close", None{}, &None{})
}

func (r *Remote) Whisper(peer zyre.UUID, frames ...[]byte) error {
	return r.call("Whisper", Target{Peer: peer, Frames: frames}, &None{})
}

func (r *Remote) Shout(group string, frames ...[]byte) error {
	return r.call("Shout", Target{Group: group, Frames: frames}, &None{})
}

func (r *Remote) RequirePeer(id zyre.UUID, endpoint, key string) error {
	return r.call("RequirePeer", Target{Peer: id, Endpoint: endpoint, Key: key}, &None{})
}

func (r *Remote) GossipUnpublish(id zyre.UUID) error {
	return r.call("GossipUnpublish", Target{Peer: id}, &None{})
}

// Recv asks in short turns, so that no event is lost when ctx ends the wait.
func (r *Remote) Recv(ctx context.Context) (zyre.Event, error) {
	for {
		if err := ctx.Err(); err != nil {
			return zyre.Event{}, err
		}
		var ev zyre.Event
		err := r.call("Recv", 100*time.Millisecond, &ev)
		if !errors.Is(err, context.DeadlineExceeded) {
			return ev, err
		}
	}
}

// ask returns the result of a call that has no error of its own. A process
// that is gone gives the zero value.
func ask[T any](r *Remote, method string, args any) T {
	var reply T
	if err := r.call(method, args, &reply); err != nil {
		r.t.Logf("%s in another process: %v", method, err)
	}
	return reply
}

func (r *Remote) UUID() zyre.UUID      { return ask[zyre.UUID](r, "UUID", None{}) }
func (r *Remote) Name() string         { return ask[string](r, "Name", None{}) }
func (r *Remote) Peers() []zyre.UUID   { return ask[[]zyre.UUID](r, "Peers", None{}) }
func (r *Remote) Groups() []string     { return ask[[]string](r, "Groups", None{}) }
func (r *Remote) PeerGroups() []string { return ask[[]string](r, "PeerGroups", None{}) }
func (r *Remote) Stats() zyre.Stats    { return ask[zyre.Stats](r, "Stats", None{}) }

func (r *Remote) GroupPeers(group string) []zyre.UUID {
	return ask[[]zyre.UUID](r, "GroupPeers", Target{Group: group})
}

func (r *Remote) Peer(id zyre.UUID) (zyre.Peer, bool) {
	reply := ask[PeerReply](r, "Peer", Target{Peer: id})
	return reply.Peer, reply.OK
}

func (r *Remote) Dump(w io.Writer) error {
	var text string
	if err := r.call("Dump", None{}, &text); err != nil {
		return err
	}
	_, err := io.WriteString(w, text)
	return err
}
