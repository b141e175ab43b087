package zyre

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/gozyre/zyre/internal/buffer"
	"github.com/gozyre/zyre/internal/rule"
)

// UUID identifies a node on the network. Each start of a node has a new one.
// The zero UUID belongs to no node.
type UUID [16]byte

// String returns 32 upper-case hex digits without dashes, as libzyre prints it.
func (u UUID) String() string {
	return strings.ToUpper(hex.EncodeToString(u[:]))
}

// Short returns the first six digits of String: enough for a log line, and
// the name of a node that was given none.
func (u UUID) Short() string { return u.String()[:6] }

// IsZero reports whether u is the zero UUID.
func (u UUID) IsZero() bool { return u == UUID{} }

// MarshalText returns the form of String.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText accepts what [ParseUUID] accepts.
func (u *UUID) UnmarshalText(text []byte) (err error) {
	*u, err = ParseUUID(string(text))
	return err
}

// ParseUUID reads a UUID of 32 hex digits in either case. Dashes and braces,
// as other languages print them, are ignored. Anything else is [ErrInvalid].
func ParseUUID(s string) (UUID, error) {
	var u UUID
	digits := strings.NewReplacer("-", "", "{", "", "}", "").Replace(s)
	if len(digits) == hex.EncodedLen(len(u)) {
		if _, err := hex.Decode(u[:], []byte(digits)); err == nil {
			return u, nil
		}
	}
	return UUID{}, rule.Invalid("UUID", s, "is not 32 hex digits")
}

// EventType says what an [Event] is about.
type EventType uint8

// The events of a node. Each comes with the Peer and Name of the node that it
// is about; what else is set stands behind the constant. The events of one
// peer keep the order in which it caused them: Enter first, Exit last.
const (
	_       EventType = iota
	Enter             // a peer has entered the network: Addr, Headers
	Evasive           // a peer was not heard of for the evasive timeout; repeated while it lasts
	Silent            // a peer was not heard of for the silent timeout; repeated while it lasts
	Exit              // a peer has left, was killed, or was silent for the expired timeout
	Join              // a peer has joined a group: Group
	Leave             // a peer has left a group, which Exit alone does not announce: Group
	Leader            // a peer, or this node, was elected leader of a group: Group
	Whisper           // a peer has sent this node a message: Msg
	Shout             // a peer has sent a group a message: Group, Msg
	Stop              // this node has stopped: Peer and Name are its own
)

var eventNames = [...]string{
	Enter: "ENTER", Evasive: "EVASIVE", Silent: "SILENT", Exit: "EXIT", Join: "JOIN",
	Leave: "LEAVE", Leader: "LEADER", Whisper: "WHISPER", Shout: "SHOUT", Stop: "STOP",
}

// String returns the upper-case word that libzyre uses, such as "ENTER".
func (t EventType) String() string {
	if int(t) < len(eventNames) && eventNames[t] != "" {
		return eventNames[t]
	}
	return fmt.Sprintf("EventType(%d)", uint8(t))
}

// Event is one thing that happened on the network. The caller owns it, and
// may give the memory of its message back, see [Event.Release].
//
// Frames of small messages share the block of memory that they arrived in,
// up to 64 KiB: a program that keeps a few of them for long should keep
// copies (bytes.Clone). Headers may be shared between events of one peer and
// must not be changed.
type Event struct {
	Type    EventType
	Peer    UUID              // the node that the event is about
	Name    string            // its name
	Addr    string            // Enter: the endpoint that it says it listens on, such as "tcp://192.168.1.7:49152"
	Group   string            // Join, Leave, Leader, Shout
	Headers map[string]string // Enter: nil if it has none
	Msg     [][]byte          // Whisper, Shout: the frames of the message
}

// Header returns the value of a header of an Enter event, or "".
func (e *Event) Header(name string) string { return e.Headers[name] }

// Text returns the first frame of a message as a string, or "": what most
// messages of one frame need.
func (e *Event) Text() string {
	if len(e.Msg) == 0 {
		return ""
	}
	return string(e.Msg[0])
}

// Release gives the memory of the message back, for one to come. Nobody may
// use its frames after that, also not those of a copy of the event; Msg is nil.
// Release an event once, by whoever is the last to use it, or never: the
// collector finds it then, at a higher price. Only frames of about 48 KiB to
// 1 MiB have memory of their own that is used again; a receiver of 64 KiB takes
// a fifth to a half more of them so. All others are left to the collector, and
// with them those that came to the pure Go engine with CURVE.
func (e *Event) Release() {
	for _, frame := range e.Msg {
		buffer.GiveBack(frame)
	}
	e.Msg = nil
}

// String returns the event on one line, for logs: message bodies only by
// their sizes.
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %q", e.Type, e.Peer.Short(), e.Name)
	if e.Addr != "" {
		fmt.Fprintf(&b, " at %s", e.Addr)
	}
	if e.Group != "" {
		fmt.Fprintf(&b, " group %q", e.Group)
	}
	if len(e.Headers) > 0 {
		fmt.Fprintf(&b, " headers %q", e.Headers)
	}
	if e.Msg != nil {
		size := 0
		for _, f := range e.Msg {
			size += len(f)
		}
		fmt.Fprintf(&b, " %d frames, %d bytes", len(e.Msg), size)
	}
	return b.String()
}
