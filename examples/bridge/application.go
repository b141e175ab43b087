package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pebbe/zmq4"
)

// application is the side of the bridge that faces ZeroMQ. A socket belongs to
// the goroutine that uses it: none is safe for two.
type application struct {
	// A context of their own: its end is what wakes who waits at the socket sub.
	sockets *zmq4.Context
	sub     *zmq4.Socket // what the application publishes
	pub     *zmq4.Socket // what it subscribes to
}

// lastWords is how long messages that were published last may take to leave.
const lastWords = time.Second

func openApplication(in, topic, out string) (*application, error) {
	sockets, err := zmq4.NewContext()
	if err != nil {
		return nil, err
	}
	a := &application{sockets: sockets}
	if a.sub, err = sockets.NewSocket(zmq4.SUB); err == nil {
		err = errors.Join(a.sub.SetSubscribe(topic), attach(a.sub, in))
	}
	if err == nil {
		a.pub, err = sockets.NewSocket(zmq4.PUB)
	}
	if err == nil {
		err = errors.Join(a.pub.SetLinger(lastWords), attach(a.pub, out))
	}
	if err != nil {
		closeSocket(a.sub)
		closeSocket(a.pub)
		a.end()
		return nil, err
	}
	return a, nil
}

// end waits until both sockets are closed and wakes who still waits at one.
func (a *application) end() { _ = a.sockets.Term() }

// closeSocket closes a socket, if there is one.
func closeSocket(s *zmq4.Socket) {
	if s != nil {
		_ = s.Close()
	}
}

// attach listens on an endpoint with an @ before it, and connects to others.
func attach(s *zmq4.Socket, endpoint string) error {
	address, listen := strings.CutPrefix(endpoint, "@")
	var err error
	if listen {
		err = s.Bind(address)
	} else {
		err = s.Connect(address)
	}
	if err != nil {
		return fmt.Errorf("endpoint %s: %w", endpoint, err)
	}
	return nil
}
