// Package fallback is a ZRE v2 node in Go alone: the engine of package zyre
// where there is no libzyre. Programs use package zyre, which has the
// documented API; what is exported here is the seam between the two.
//
// Data flows one way:
//
//	beacon ─► peer ─► node ─► inbox
//
// A beacon or a HELLO makes a peer. A peer owns one outgoing connection, with
// a sender that batches writes, and one incoming connection, whose reader
// cuts messages out of large reads. Control messages change the tables of the
// presence under its lock; data goes past them straight into the inbox.
package fallback

import (
	"log/slog"
	"time"

	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/rule"
)

// Version is the version of this engine.
const Version = "0.1.0"

// UUID identifies one presence of a node.
type UUID = [16]byte

// Config is all that a node is told. Package zyre has checked it.
type Config struct {
	Name       string // "": the first six digits of the UUID
	Headers    map[string]string
	Logger     *slog.Logger // nil: none
	Port       int          // UDP port of beacons
	PeerPort   int          // TCP port of the listener; 0: any
	Interval   time.Duration
	Interfaces []string // names or addresses, or "*"; none: choose
	Multicast  []string // group addresses, one of each IP version; else broadcast, and ff02::1 for IPv6
	IPv6       bool     // instead of IPv4
	DualStack  bool     // both
	IPv6Addr   string
	Evasive    time.Duration
	Silent     time.Duration // 0: evasive plus one tick
	Expired    time.Duration
	Advertised string   // endpoint that peers are told; "": the one we listen on
	Endpoint   string   // to listen on; "": an address of the interfaces
	Contests   []string // groups in whose elections the node is a candidate

	// Discovery is by beacon, or by gossip if one of these or Endpoint is
	// set, and then by beacon only with Beacon.
	GossipBind    []string
	GossipConnect []Hub
	Beacon        bool

	Keys    *key.Pair  // for CURVE; nil: NULL
	Allowed [][32]byte // public keys of those that may be peers; nil: every one

	InboxLimit   int           // bytes of unread events
	SendLimit    int           // bytes waiting for one peer
	SendTimeout  time.Duration // 0: Evasive
	MessageLimit int           // bytes of a message from a peer; 0: rule.MaxMessage
}

// Hub is a gossip server to connect to.
type Hub struct {
	Endpoint string
	Key      [32]byte // its public key, with CURVE
}

func (c *Config) gossips() bool {
	return c.Endpoint != "" || len(c.GossipBind)+len(c.GossipConnect) > 0
}

func (c *Config) beacons() bool { return c.Beacon || !c.gossips() }

// Kind says what an Event is about. The numbers are those of zyre.EventType.
type Kind uint8

// The kinds of event, in the order of zyre.EventType.
const (
	_ Kind = iota
	Enter
	Evasive
	Silent
	Exit
	Join
	Leave
	Leader
	Whisper
	Shout
	Stop
)

// Event is one thing that happened; the fields are those of zyre.Event.
type Event struct {
	Kind    Kind
	Peer    UUID
	Name    string
	Addr    string
	Group   string
	Headers map[string]string
	Msg     [][]byte
}

// Peer is what the node knows of another; the fields are those of zyre.Peer.
type Peer struct {
	UUID     UUID
	Name     string
	Endpoint string
	Headers  map[string]string
	Groups   []string
}

// Stats are the counters of zyre.Stats.
type Stats struct {
	Sent, Received           uint64
	SentBytes, ReceivedBytes uint64
	Dropped                  uint64
	Peers                    int
	Entered, Exited          uint64
	Reconnects               uint64
	Refused                  uint64
	InboxEvents, InboxBytes  int
	QueuedBytes              int
}

// The errors of this package are those of package zyre.
var (
	ErrClosed      = rule.ErrClosed
	ErrNotStarted  = rule.ErrNotStarted
	ErrStarted     = rule.ErrStarted
	ErrNoInterface = rule.ErrNoInterface
	ErrUnknownPeer = rule.ErrUnknownPeer
)
