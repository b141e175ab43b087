// Package worker is the part of a worker process that all libraries share:
// what it is asked, and the loops that send, receive and time messages.
package worker

import (
	"time"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

// Party is one participant of a measurement. Party 0 sends, the others answer
// to it alone. It is used by one goroutine at a time.
type Party interface {
	// Addr is where party 0 connects to, or "" if parties find each other.
	Addr() string

	// Meet waits until this party can reach those it has to reach, and tells
	// since when it can.
	Meet(addrs []string, deadline time.Time) (time.Time, error)

	// SetDeadline bounds all that follows.
	SetDeadline(t time.Time)

	// Send sends to one party; msg may be used again when it returns.
	Send(to int, msg []byte) error

	// Shout sends to all others.
	Shout(msg []byte) error

	// Recv returns the next message, which is valid until the next call. What
	// Send has buffered must be on its way before it waits.
	Recv() (from int, msg []byte, err error)
}

// flusher is a party that may hold back what was sent until it receives.
type flusher interface{ Flush() error }

// flush is for the end, where nothing is received any more.
func flush(p Party) error {
	if f, ok := p.(flusher); ok {
		return f.Flush()
	}
	return nil
}

// meeter is a party that knows how many others it knows.
type meeter interface{ Peers() int }

// Library makes parties.
type Library struct {
	Version string
	Open    func(number int, req *protocol.Request) (Party, error)
}
