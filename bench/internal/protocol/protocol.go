// Package protocol is what the benchmark and its worker processes say to each
// other: one JSON object a line, requests on the worker's standard input, one
// reply to each on its standard output. The end of its input ends a worker.
//
// The objects are flat and their strings need no escapes, so that the worker
// in C can read them without a JSON library.
package protocol

import (
	"encoding/binary"
	"time"
)

// Requests, in the order in which a worker gets them.
const (
	Open    = "open"    // make parties and start them
	Meet    = "meet"    // wait until every party can reach every other
	Send    = "send"    // party 0: stream messages to all others
	Receive = "receive" // the others: count them, answer with acks
	Ping    = "ping"    // party 0: one message at a time, there and back
	Echo    = "echo"    // party 1: send back what comes
	Peers   = "peers"   // how many peers each party knows now
)

// Request is what a worker is asked to do. Parties are numbered through all
// processes; a process has those from First to First+Nodes-1.
type Request struct {
	Do string `json:"do"`

	// Open.
	First     int    `json:"first"`
	Nodes     int    `json:"nodes"`
	Total     int    `json:"total"`
	Interface string `json:"interface,omitempty"` // that carries beacons
	Port      int    `json:"port,omitempty"`      // of beacons
	Hub       string `json:"hub,omitempty"`       // gossip endpoint, which party 0 binds; "": beacons
	Idle      bool   `json:"idle,omitempty"`      // the parties only meet and stay
	Groups    int    `json:"groups,omitempty"`    // that each party joins besides
	Curve     bool   `json:"curve,omitempty"`     // each party has a certificate
	Keep      bool   `json:"keep,omitempty"`      // memory of messages is left to the collector

	// Meet.
	Addrs []string `json:"addrs,omitempty"` // of all parties, where they have one

	// Send, Receive, Ping, Echo; Open too has the size.
	Size   int  `json:"size,omitempty"`   // bytes of a message
	Shout  bool `json:"shout,omitempty"`  // to all at once
	Window int  `json:"window,omitempty"` // messages that may be without an ack; 0: no limit
	Every  int  `json:"every,omitempty"`  // messages to an ack; 0: only the last has one
	WarmMS int  `json:"warm_ms,omitempty"`
	RunMS  int  `json:"run_ms,omitempty"`
	Max    int  `json:"max,omitempty"` // messages, whatever the time

	DeadlineMS int    `json:"deadline_ms"` // after which the worker gives up
	Profile    string `json:"profile,omitempty"`
}

// Deadline is when a request that arrived now must be done.
func (r *Request) Deadline() time.Time {
	return time.Now().Add(time.Duration(r.DeadlineMS) * time.Millisecond)
}

// Reply answers a Request.
type Reply struct {
	Error string `json:"error,omitempty"`

	Version string   `json:"version,omitempty"` // Open: of the library
	Addrs   []string `json:"addrs,omitempty"`   // Open: where the parties listen
	AtNS    int64    `json:"at_ns,omitempty"`   // Open: the last start; Meet: all met; Unix time

	Messages  int64 `json:"messages,omitempty"`   // Send: delivered in ElapsedNS to each; Receive: counted
	ElapsedNS int64 `json:"elapsed_ns,omitempty"` // Send
	Lost      int64 `json:"lost,omitempty"`       // Receive: numbers that never came
	Wrong     int64 `json:"wrong,omitempty"`      // Receive: out of order, twice, or of a wrong size

	P50NS int64 `json:"p50_ns,omitempty"` // Ping
	P99NS int64 `json:"p99_ns,omitempty"`

	Fewest int `json:"fewest,omitempty"` // Peers: of the party that knows fewest
}

// Every message begins with its number and whether it is the last one; the
// rest is filling. Acks carry how many messages have come.
const (
	MinSize = 16 // of a message, and the size of an ack
	lastAt  = 8
)

// Put writes the beginning of a message.
func Put(msg []byte, number uint64, last bool) {
	binary.LittleEndian.PutUint64(msg, number)
	msg[lastAt] = 0
	if last {
		msg[lastAt] = 1
	}
}

// Get reads what Put wrote.
func Get(msg []byte) (number uint64, last bool) {
	return binary.LittleEndian.Uint64(msg), msg[lastAt] != 0
}
