// Package hostile attacks a ZRE node with raw sockets: beacons over UDP,
// connections to its listener, and listeners for it to connect to. It knows
// the protocols by their bytes alone and shares no code with any node, so
// that no mistake can cancel out.
//
// An [Attack] says what it does and what a sound node answers, and checks
// that answer over the wire. What else must hold, that real peers lose
// nothing and that memory comes back, is for whoever runs it.
//
// It sends to loopback and to where it is told that the victim is, and
// everything in it is bounded in count and time.
package hostile

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"
)

// UUID identifies a node.
type UUID = [16]byte

// Party is a node as an attacker knows it.
type Party struct {
	ID       UUID
	Endpoint netip.AddrPort // of its listener
}

// Limits are those of the victim, as far as its answers depend on them.
type Limits struct {
	HalfOpen  int           // connections before HELLO
	Handshake time.Duration // from connect to HELLO
	Hello     int           // bytes of a HELLO
	Groups    int           // of one peer
	Foreign   int           // messages of a foreign version
	Frames    int           // of one message
	Message   int           // bytes of one message
	Burst     int           // new peers of one address, at once
	Rate      int           // and then a second
	Dials     int           // to places of which strangers tell, at once
	DialRate  int           // and then a second
	Send      time.Duration // after which a peer that takes nothing is removed
}

// Scene is where an attack takes place.
type Scene struct {
	Victim Party
	Honest Party  // a peer of the victim, on loopback
	Port   int    // UDP port of the victim's beacons
	Group  string // that the victim shouts to all the time
	Limits Limits

	Key    [32]byte       // of a victim that uses CURVE
	Hub    netip.AddrPort // of a victim that is a hub of gossip
	BadHub netip.AddrPort // where a victim looks for another

	Addr  netip.Addr // the attacker's own
	Other netip.Addr // another one of the attacker

	// Onward says to go on where the victim does not hang up as it should,
	// and not to wait for it for long: it is only to be seen what it bears.
	Onward bool

	// Slow says that the victim has the race detector, with which cryptography
	// takes it ten times as long.
	Slow bool

	mu   sync.Mutex
	open []io.Closer
}

// Attack is one way to harm a node.
type Attack struct {
	Name   string
	Row    string // of the table of hostile inputs in the fact sheet of ZRE, if it is there
	Does   string
	Answer string             // that is expected
	Run    func(*Scene) error // reports whether the victim answered so
}

// Memory is how many bytes the victim may need while an attack goes on.
const Memory = 32 << 20

// patience is how long an attack waits for an answer that should come at once.
const patience = 60 * time.Second

// prompt is how long it may take the victim to close a connection at once. It
// is less than what makes it close any.
const prompt = 8 * time.Second

// Close ends all connections and listeners of the attack.
func (s *Scene) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.open {
		c.Close()
	}
	s.open = nil
}

func (s *Scene) keep(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, c)
}

func newID() (id UUID) {
	rand.Read(id[:])
	return id
}

// eventually waits until the condition holds.
func eventually(what string, condition func() bool) error {
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %s", patience, what)
		}
	}
	return nil
}

// inTurn runs attempts until one fails.
func inTurn(attempts ...func() error) error {
	for i, attempt := range attempts {
		if err := attempt(); err != nil {
			return fmt.Errorf("attempt %d: %w", i+1, err)
		}
	}
	return nil
}
