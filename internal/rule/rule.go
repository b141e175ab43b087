// Package rule holds what every engine of a ZRE node refuses, and the error
// it refuses it with, so that both engines answer bad input in the same words.
package rule

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The sentinel errors that package zyre exports under the same names.
var (
	ErrClosed       = errors.New("zyre: node is closed")
	ErrNotStarted   = errors.New("zyre: node is not started; call Start first")
	ErrStarted      = errors.New("zyre: node is already started; call Stop first")
	ErrNoInterface  = errors.New("zyre: no such network interface")
	ErrUnknownPeer  = errors.New("zyre: peer is not known to this node")
	ErrEmptyMessage = errors.New("zyre: message has no frames; send at least one, it may be empty")
	ErrTooLarge     = errors.New("zyre: message is larger than the limit")
	ErrInvalid      = errors.New("zyre: invalid value")
)

// Limits that both ends of a ZRE connection must keep. Lengths are bytes.
const (
	MaxString      = 255      // names, groups, endpoints and header names: one length byte on the wire
	MaxHeaderValue = 64 << 10 // the wire allows 4 GiB; a HELLO that large would be refused by peers
	MaxHeaders     = 1024
	MaxAllHeaders  = 512 << 10 // together: peers take a HELLO of 1 MiB
	MaxMessage     = 64 << 20  // all frames of one message together
	MaxFrames      = 64 << 10
)

// MinPeerPort is the lowest port that a stranger's word makes a node connect to.
const MinPeerPort = 1024

// Invalid says that the value of a field is not acceptable, and why.
func Invalid(field string, value any, why string) error {
	return fmt.Errorf("%w: %s %q %s", ErrInvalid, field, fmt.Sprint(value), why)
}

// text checks a string that travels in a ZRE string: at most 255 bytes, and
// no NUL, at which C peers would cut it.
func text(field, s string) error {
	if len(s) > MaxString {
		return Invalid(field, s[:32]+"…", fmt.Sprintf("has %d bytes; at most %d fit", len(s), MaxString))
	}
	if strings.IndexByte(s, 0) >= 0 {
		return Invalid(field, s, "contains a NUL byte, at which C peers cut it")
	}
	return nil
}

func required(field, s string) error {
	if s == "" {
		return Invalid(field, s, "is empty")
	}
	return text(field, s)
}

// Name checks a node name. Empty is allowed: the engine then takes the first
// six digits of the UUID.
func Name(s string) error { return text("name", s) }

// Group checks a group name.
func Group(s string) error { return required("group", s) }

// Endpoint checks the length and bytes of an endpoint, not its address.
func Endpoint(s string) error { return required("endpoint", s) }

// Hub checks an endpoint of a gossip hub: one to listen on, or to connect to.
func Hub(s string, listening bool) error {
	_, err := port(s, listening)
	return err
}

// Peers checks an endpoint at which peers are to connect: one to listen on, or
// one that they are told.
func Peers(s string, listening bool) error {
	n, err := port(s, listening)
	if err == nil && n > 0 {
		err = PeerPort("port of the endpoint", n)
	}
	return err
}

// port checks what can be told of an endpoint without a network, and returns
// its TCP port, or 0 if it has none or any will do. Which transports there are
// beside TCP is the engine's business.
func port(s string, listening bool) (int, error) {
	if err := Endpoint(s); err != nil {
		return 0, err
	}
	scheme, address, ok := strings.Cut(s, "://")
	switch {
	case !ok || scheme == "" || address == "":
		return 0, Invalid("endpoint", s, "is none; one looks like tcp://10.0.0.7:6000")
	case scheme != "tcp":
		return 0, nil
	}
	colon := strings.LastIndexByte(address, ':')
	if colon <= 0 {
		return 0, Invalid("endpoint", s, "has no host and port; one looks like tcp://10.0.0.7:6000")
	}
	host, number := address[:colon], address[colon+1:]
	if listening && slices.Contains([]string{"*", "!", "0"}, number) {
		return 0, nil
	}
	if !listening && slices.Contains([]string{"*", "0.0.0.0", "::", "[::]"}, host) {
		return 0, Invalid("endpoint", s, "has no address that one can connect to")
	}
	n, err := strconv.Atoi(number)
	if err != nil || n <= 0 || n > math.MaxUint16 {
		return 0, Invalid("endpoint", s, "has no port from 1 to 65535")
	}
	return n, nil
}

// PeerPort checks the TCP port of a node.
func PeerPort(field string, port int) error {
	if err := Port(field, port, false); err != nil {
		return err
	}
	if port < MinPeerPort {
		return Invalid(field, port, fmt.Sprintf("is below %d, where no node connects because a beacon says so", MinPeerPort))
	}
	return nil
}

// Header checks one header.
func Header(name, value string) error {
	if err := required("header", name); err != nil {
		return err
	}
	if len(value) > MaxHeaderValue {
		return Invalid("header "+name, fmt.Sprintf("of %d bytes", len(value)), fmt.Sprintf("is longer than %d bytes", MaxHeaderValue))
	}
	if strings.IndexByte(value, 0) >= 0 {
		return Invalid("header "+name, value, "contains a NUL byte, at which C peers cut it")
	}
	return nil
}

// Port checks a UDP or TCP port; zero is allowed only where it means the default.
func Port(field string, port int, zeroOK bool) error {
	if port < 0 || port > math.MaxUint16 || port == 0 && !zeroOK {
		return Invalid(field, port, "is not a port; ports are 1 to 65535")
	}
	return nil
}

// Duration checks a timeout or an interval: whole milliseconds are what the
// engines count in, and libzyre holds them in an int.
func Duration(field string, d time.Duration) error {
	if d < time.Millisecond || d > math.MaxInt32*time.Millisecond {
		return Invalid(field, d, "is out of range; take 1 ms to 24 days")
	}
	return nil
}

// Frames checks a message: one frame at least, and no more than peers accept.
func Frames(frames [][]byte) error {
	if len(frames) == 0 {
		return ErrEmptyMessage
	}
	if len(frames) == 1 && len(frames[0]) <= MaxMessage {
		return nil
	}
	return manyFrames(frames)
}

func manyFrames(frames [][]byte) error {
	if len(frames) > MaxFrames {
		return fmt.Errorf("%w: %d frames; at most %d", ErrTooLarge, len(frames), MaxFrames)
	}
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	if size > MaxMessage {
		return fmt.Errorf("%w: %d bytes; at most %d", ErrTooLarge, size, MaxMessage)
	}
	return nil
}
