package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/pebbe/zmq4"

	"github.com/gozyre/zyre"
)

// bridge is what joins a group to an application.
type bridge struct {
	name  string // of the node
	group string
	in    string // endpoint of the application's PUB socket
	out   string // endpoint of the application's SUB socket
	topic string // "": all
}

// run bridges until ctx is done or something fails, and says which.
func (b bridge) run(ctx context.Context, opts ...zyre.Option) error {
	node, err := zyre.New(b.name, opts...)
	if err != nil {
		return err
	}
	defer node.Close()
	if err := node.Join(b.group); err != nil {
		return err
	}
	app, err := openApplication(b.in, b.topic, b.out)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var shouting sync.WaitGroup
	// In the end, from below: no call of the node blocks any more, then none
	// of the sockets.
	defer shouting.Wait()
	defer app.end()
	defer node.Close()
	defer closeSocket(app.pub)
	if err := node.Start(ctx); err != nil {
		closeSocket(app.sub)
		return err
	}
	shouting.Go(func() {
		defer closeSocket(app.sub)
		cancel(b.shoutAll(app.sub, node))
	})
	return b.publishAll(ctx, app.pub, node)
}

// shoutAll brings what the application publishes to the group, until one of
// both sides ends.
func (b bridge) shoutAll(sub *zmq4.Socket, node *zyre.Node) error {
	for {
		msg, err := sub.RecvMessageBytes(0)
		if err != nil {
			return fmt.Errorf("receive from %s: %w", b.in, err)
		}
		if string(msg[0]) == b.group {
			continue // it comes from the group
		}
		if err := node.Shout(b.group, msg...); err != nil {
			return err
		}
	}
}

// publishAll brings what is shouted in the group to the application, until ctx
// is done.
func (b bridge) publishAll(ctx context.Context, pub *zmq4.Socket, node *zyre.Node) error {
	for ev, err := range node.Events(ctx) {
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return err
		}
		if ev.Type != zyre.Shout {
			continue
		}
		if _, err := pub.SendMessage(ev.Group, ev.Name, ev.Msg); err != nil {
			return fmt.Errorf("publish on %s: %w", b.out, err)
		}
	}
	return nil
}
