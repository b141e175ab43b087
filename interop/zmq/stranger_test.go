//go:build linux

// Package zmq tests package fallback against sockets of libzmq, which every
// ZRE node but ours is made of: a ROUTER for what it hears and a DEALER for
// each peer that it speaks to. ZRE itself is written here by hand, from RFC 36,
// so that the node's codec is not tested with itself. All of it is on loopback.
package zmq

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/testport"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// patience is how long a test waits for something that takes milliseconds.
const patience = 20 * time.Second

// stranger is a ZRE node of libzmq sockets. Its sockets belong to the
// goroutine of the test.
type stranger struct {
	t        *testing.T
	id       lab.UUID
	endpoint string
	headers  []string     // of HELLO, besides X-NAME: names and values
	addr     string       // of our node
	in       *zmq4.Socket // ROUTER
	out      *zmq4.Socket // DEALER to our node
	seq      uint16       // of the last message sent
}

// newStranger opens both sockets, sets options of both, and connects the
// DEALER to an address.
func newStranger(t *testing.T, addr string, options ...func(*zmq4.Socket) error) *stranger {
	t.Helper()
	s := &stranger{t: t, addr: addr, in: socket(t, zmq4.ROUTER), out: socket(t, zmq4.DEALER)}
	_, _ = rand.Read(s.id[:]) // never fails
	for _, set := range options {
		s.must(errors.Join(set(s.in), set(s.out)))
	}
	s.must(s.in.SetRouterHandover(true))
	s.must(s.in.Bind("tcp://127.0.0.1:*"))
	endpoint, err := s.in.GetLastEndpoint()
	s.must(err)
	s.endpoint = endpoint
	s.connect()
	return s
}

func (s *stranger) connect() {
	s.t.Helper()
	s.must(s.out.SetIdentity("\x01" + string(s.id[:])))
	s.must(s.out.Connect("tcp://" + s.addr))
}

// again begins anew with another DEALER, as nodes do when they are told HELLO
// a second time.
func (s *stranger) again() {
	s.t.Helper()
	s.must(s.out.Close())
	s.out = socket(s.t, zmq4.DEALER)
	s.connect()
	s.hello("stranger", 0)
}

func socket(t *testing.T, kind zmq4.Type) *zmq4.Socket {
	t.Helper()
	s, err := zmq4.NewSocket(kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, zmq4.ErrorSocketClosed) {
			t.Errorf("%v: %v", kind, err)
		}
	})
	for _, err := range []error{s.SetLinger(0), s.SetRcvtimeo(patience), s.SetSndtimeo(patience)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// port is where the stranger listens.
func (s *stranger) port() uint16 {
	s.t.Helper()
	addr, err := netip.ParseAddrPort(strings.TrimPrefix(s.endpoint, "tcp://"))
	s.must(err)
	return addr.Port()
}

// send sends a message with the next sequence number.
func (s *stranger) send(kind byte, fields []byte, content ...[]byte) {
	s.t.Helper()
	s.sendAs(kind, s.seq+1, fields, content...)
}

// sendAs sends a message with that sequence number.
func (s *stranger) sendAs(kind byte, seq uint16, fields []byte, content ...[]byte) {
	s.t.Helper()
	s.seq = seq
	_, err := s.out.SendMessage(append([][]byte{append(header(kind, seq), fields...)}, content...))
	s.must(err)
}

// hello says HELLO, as message 1.
func (s *stranger) hello(name string, status byte, groups ...string) {
	s.t.Helper()
	s.sendAs(kindHello, 1, helloFields(s.endpoint, name, status, groups, s.headers...))
}

// recv returns the next message of node but for pings, which it answers.
func (s *stranger) recv(from lab.UUID) message {
	s.t.Helper()
	for {
		m := s.recvAny(from)
		if m.kind != kindPing {
			return m
		}
		if m.version == zreVersion {
			s.send(kindPingOK, nil)
		}
	}
}

// recvAny returns the next message, which must come from node.
func (s *stranger) recvAny(from lab.UUID) message {
	s.t.Helper()
	frames, err := s.in.RecvMessageBytes(0)
	s.must(err)
	if len(frames) < 2 || string(frames[0]) != "\x01"+string(from[:]) {
		s.t.Fatalf("message of %d frames from %x, want 01%x", len(frames), frames[0], from)
	}
	m, err := parse(frames[1])
	s.must(err)
	m.content = frames[2:]
	return m
}

// expect returns the next message of node, which must be of that kind and
// have that sequence number.
func (s *stranger) expect(from lab.UUID, kind byte, seq uint16) message {
	s.t.Helper()
	m := s.recv(from)
	if m.kind != kind || m.seq != seq {
		s.t.Fatalf("message of kind %d, sequence %d; want kind %d, sequence %d", m.kind, m.seq, kind, seq)
	}
	return m
}

func (s *stranger) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// newNode starts a node on loopback, on UDP and TCP ports that nobody uses.
func newNode(t *testing.T, change ...func(*fallback.Config)) (node *lab.Node, addr string) {
	t.Helper()
	cfg := lab.Config(t, "ours")
	cfg.Interfaces = []string{"lo"}
	cfg.Port, cfg.PeerPort = testport.Next(), testport.Next()
	cfg.Headers = map[string]string{"X-KEY": "value"}
	cfg.Evasive, cfg.Expired = lab.Never/2, lab.Never
	for _, f := range change {
		f(&cfg)
	}
	node = lab.NewNode(t, cfg)
	node.Must(node.Join("EARLY"))
	node.Start()
	return node, net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.PeerPort))
}

// acquaint lets node and stranger meet, each with its first message.
func acquaint(t *testing.T, node *lab.Node, s *stranger) {
	t.Helper()
	s.hello("stranger", 0)
	node.Next(t, s.id, fallback.Enter)
	s.expect(node.UUID(), kindHello, 1)
}

// The messages of ZRE, RFC 36.
const (
	signature  = 0xAAA1
	zreVersion = 2

	kindHello   = 1
	kindWhisper = 2
	kindShout   = 3
	kindJoin    = 4
	kindLeave   = 5
	kindPing    = 6
	kindPingOK  = 7
)

// message is what node said. The fields of its first frame behind the
// sequence number are left as they are, but for HELLO's.
type message struct {
	kind, version byte
	seq           uint16
	fields        []byte
	content       [][]byte
}

func parse(frame []byte) (message, error) {
	if len(frame) < 6 || binary.BigEndian.Uint16(frame) != signature {
		return message{}, errors.New("not a message of ZRE")
	}
	return message{kind: frame[2], version: frame[3], seq: binary.BigEndian.Uint16(frame[4:]), fields: frame[6:]}, nil
}

func header(kind byte, seq uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, signature)
	return binary.BigEndian.AppendUint16(append(b, kind, zreVersion), seq)
}

// helloFields has a header with the name, and others: names and values.
func helloFields(endpoint, name string, status byte, groups []string, headers ...string) []byte {
	b := binary.BigEndian.AppendUint32(str(endpoint), uint32(len(groups)))
	for _, g := range groups {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(g))), g...)
	}
	b = append(b, status)
	b = append(b, str(name)...)
	headers = append([]string{"X-NAME", name}, headers...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(headers)/2))
	for h := range slices.Chunk(headers, 2) {
		b = append(b, str(h[0])...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(h[1])))
		b = append(b, h[1]...)
	}
	return b
}

// groupFields are those of JOIN and LEAVE.
func groupFields(group string, status byte) []byte { return append(str(group), status) }

// str is a string of ZRE.
func str(s string) []byte { return append([]byte{byte(len(s))}, s...) }
