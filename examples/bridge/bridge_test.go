package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/testport"
)

const (
	group    = "SENSORS"
	anyLocal = "tcp://127.0.0.1:*"
	patience = 20 * time.Second
	pause    = 20 * time.Millisecond
)

// TestBridge has an application of ZeroMQ with a publisher and a subscriber,
// and a node in the group. They meet by gossip, which both engines can do on
// loopback.
func TestBridge(t *testing.T) {
	app := newApp(t)
	hub := testport.Endpoint()
	member := newMember(t, hub)
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		b := bridge{name: "bridge", group: group, in: app.pubAt, out: "@" + app.subAt, topic: "S"}
		ended <- b.run(ctx, zyre.WithEndpoint(anyLocal), zyre.WithGossipConnect(hub))
	}()
	// As with any publisher, what is said before all know each other is lost.
	var ev zyre.Event
	repeat(t, func() bool {
		app.publish(t, "S/temperature", "21.5", "")
		return next(t, member, zyre.Shout, pause, &ev)
	})
	if ev.Group != group || ev.Name != "bridge" || !same(ev.Msg, "S/temperature", "21.5", "") {
		t.Errorf("the group heard %v %q", ev, ev.Msg)
	}
	// Neither another topic nor what comes from the group is shouted.
	for _, topic := range []string{"other", group, "S/last"} {
		app.publish(t, topic, "x")
	}
	for ev.Text() != "S/last" {
		if !next(t, member, zyre.Shout, patience, &ev) || ev.Text() == "other" || ev.Text() == group {
			t.Fatalf("the group heard %v %q", ev, ev.Msg)
		}
	}

	var msg []string
	repeat(t, func() bool {
		must(t, member.Shout(group, []byte("on"), []byte{}, []byte("off")))
		var err error
		msg, err = app.sub.RecvMessage(0)
		return err == nil
	})
	if !slices.Equal(msg, []string{group, "member", "on", "", "off"}) {
		t.Errorf("the application heard %q", msg)
	}

	leave()
	if !next(t, member, zyre.Exit, patience, &ev) || ev.Name != "bridge" {
		t.Errorf("the bridge has not left: %v", ev)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	case <-time.After(patience):
		t.Error("the bridge does not end")
	}
}

// TestBridgeFails tells what it could not do, and leaves nothing behind.
func TestBridgeFails(t *testing.T) {
	taken := testport.Endpoint()
	s := socket(t, zmq4.PUB)
	must(t, s.Bind(taken))
	for name, b := range map[string]bridge{
		"no group":          {in: anyLocal, out: "@" + anyLocal},
		"endpoint in use":   {group: group, in: "tcp://127.0.0.1:1", out: "@" + taken},
		"endpoint is wrong": {group: group, in: "nonsense", out: "@" + anyLocal},
	} {
		if err := b.run(t.Context(), zyre.WithEndpoint(anyLocal)); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// app is the application of ZeroMQ.
type app struct {
	pub, sub     *zmq4.Socket
	pubAt, subAt string
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{pub: socket(t, zmq4.PUB), sub: socket(t, zmq4.SUB), pubAt: testport.Endpoint(), subAt: testport.Endpoint()}
	must(t, a.pub.Bind(a.pubAt))
	must(t, errors.Join(a.sub.SetSubscribe(group), a.sub.SetRcvtimeo(pause), a.sub.Connect(a.subAt)))
	return a
}

func (a *app) publish(t *testing.T, frames ...string) {
	t.Helper()
	_, err := a.pub.SendMessage(frames)
	must(t, err)
}

// repeat does something until it has worked.
func repeat(t *testing.T, try func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !try(); {
		if time.Now().After(deadline) {
			t.Fatal("nothing was heard")
		}
	}
}

func newMember(t *testing.T, hub string) *zyre.Node {
	t.Helper()
	node, err := zyre.New("member", zyre.WithEndpoint(anyLocal), zyre.WithGossipBind(hub))
	must(t, err)
	t.Cleanup(func() { node.Close() })
	must(t, node.Join(group))
	must(t, node.Start(t.Context()))
	return node
}

// next waits a while for the next event of that type.
func next(t *testing.T, node *zyre.Node, want zyre.EventType, wait time.Duration, ev *zyre.Event) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	for {
		var err error
		switch *ev, err = node.Recv(ctx); {
		case errors.Is(err, context.DeadlineExceeded):
			return false
		case err != nil:
			t.Fatal(err)
		case ev.Type == want:
			return true
		}
	}
}

func socket(t *testing.T, kind zmq4.Type) *zmq4.Socket {
	t.Helper()
	s, err := zmq4.NewSocket(kind)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	must(t, errors.Join(s.SetLinger(0), s.SetRcvtimeo(patience)))
	return s
}

func same(frames [][]byte, want ...string) bool {
	return slices.EqualFunc(frames, want, func(a []byte, b string) bool { return string(a) == b })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
