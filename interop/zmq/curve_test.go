//go:build linux

package zmq

import (
	"bytes"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pebbe/zmq4"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/key"
)

// domain is a list of those that libzmq's ZAP handler (RFC 27) lets in.
type domain string

// startZAP starts the handler, of which a process can have one only.
var startZAP = sync.OnceValue(zmq4.AuthStart)

// admit lets the owners of those public keys in.
func admit(t *testing.T, name string, keys ...[32]byte) domain {
	t.Helper()
	if err := startZAP(); err != nil {
		t.Fatal(err)
	}
	d := domain(t.Name() + name)
	for _, k := range keys {
		zmq4.AuthCurveAdd(string(d), key.Encode(k))
	}
	t.Cleanup(func() { zmq4.AuthCurveRemoveAll(string(d)) })
	return d
}

// stranger is one with keys, which it shows in HELLO as nodes with CURVE do.
// Its ROUTER lets in who is in the domain, and its DEALER expects a server
// with that public key.
func (d domain) stranger(t *testing.T, addr string, own *key.Pair, server [32]byte) *stranger {
	t.Helper()
	s := newStranger(t, addr, func(s *zmq4.Socket) error {
		kind, err := s.GetType()
		switch {
		case err != nil:
			return err
		case kind == zmq4.ROUTER:
			return s.ServerAuthCurve(string(d), key.Encode(own.Secret))
		}
		return s.ClientAuthCurve(key.Encode(server), key.Encode(own.Public), key.Encode(own.Secret))
	})
	s.headers = []string{"X-PUBLICKEY", key.Encode(own.Public)}
	return s
}

func newKeys(t *testing.T) *key.Pair {
	t.Helper()
	pair, err := key.New()
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// withKeys gives a node keys, and a list of those that may be its peers.
func withKeys(own *key.Pair, allowed ...[32]byte) func(*fallback.Config) {
	return func(c *fallback.Config) { c.Keys, c.Allowed = own, allowed }
}

// TestCurve has a conversation of which nothing can be read on the way.
func TestCurve(t *testing.T) {
	our, their := newKeys(t), newKeys(t)
	d := admit(t, "", our.Public)
	node, addr := newNode(t, withKeys(our, their.Public))
	toUs := newCable(t, addr)
	s := d.stranger(t, toUs.addr(), their, our.Public)
	toThem := newCable(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(int(s.port()))))
	s.endpoint = "tcp://" + toThem.addr()
	acquaint(t, node, s)

	const secret = "nobody else may read this"
	large := bytes.Repeat([]byte(secret), 100_000)
	s.send(kindWhisper, nil, []byte(secret), []byte{}, large)
	if ev := node.Next(t, s.id, fallback.Whisper); !equal(ev.Msg, secret, "", string(large)) {
		t.Errorf("Whisper of %d frames", len(ev.Msg))
	}
	s.send(kindShout, str("EARLY"), []byte(secret))
	if ev := node.Next(t, s.id, fallback.Shout); ev.Group != "EARLY" || !equal(ev.Msg, secret) {
		t.Errorf("Shout to %q: %q", ev.Group, ev.Msg)
	}
	node.Must(node.Whisper(s.id, []byte(secret), nil, large))
	if m := s.expect(node.UUID(), kindWhisper, 2); !equal(m.content, secret, "", string(large)) {
		t.Errorf("WHISPER of %d frames", len(m.content))
	}
	for name, c := range map[string]*cable{"to us": toUs, "to them": toThem} {
		checkCapture(t, name, c, secret, "EARLY", "stranger", "X-NAME", "X-KEY", "X-PUBLICKEY",
			"127.0.0.1", string(s.id[:]), key.Encode(our.Public), key.Encode(their.Public), string(our.Public[:]))
	}
}

// checkCapture looks for what must not be seen on a cable, on which CURVE was
// spoken.
func checkCapture(t *testing.T, name string, c *cable, secrets ...string) {
	t.Helper()
	for _, sign := range []string{"\x03\x01CURVE", "\x05HELLO", "\x08INITIATE", "\x07MESSAGE"} {
		if !c.shows(sign) {
			t.Errorf("no %q seen %s", sign, name)
		}
	}
	for _, secret := range secrets {
		if c.shows(secret) {
			t.Errorf("%q seen %s", secret, name)
		}
	}
}

// TestCurveStrangers does not let in who cannot prove to be on the list, nor
// whom HELLO calls other than the handshake; who comes after them can.
func TestCurveStrangers(t *testing.T) {
	our, friend, nobody := newKeys(t), newKeys(t), newKeys(t)
	d := admit(t, "", our.Public)
	for name, dial := range map[string]func(t *testing.T, addr string) *stranger{
		"WithoutKeys":    func(t *testing.T, addr string) *stranger { return newStranger(t, addr) },
		"WrongServerKey": func(t *testing.T, addr string) *stranger { return d.stranger(t, addr, friend, nobody.Public) },
		"NotOnTheList":   func(t *testing.T, addr string) *stranger { return d.stranger(t, addr, nobody, our.Public) },
		"ForgedKey": func(t *testing.T, addr string) *stranger {
			return d.stranger(t, addr, &key.Pair{Public: friend.Public, Secret: nobody.Secret}, our.Public)
		},
		"KeyOfAnother": func(t *testing.T, addr string) *stranger {
			s := d.stranger(t, addr, friend, our.Public)
			s.headers[1] = key.Encode(nobody.Public)
			return s
		},
		"KeyNotTold": func(t *testing.T, addr string) *stranger {
			s := d.stranger(t, addr, friend, our.Public)
			s.headers = nil
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			node, addr := newNode(t, withKeys(our, friend.Public))
			s := dial(t, addr)
			s.hello("stranger", 0)
			s.send(kindWhisper, nil, []byte("hello"))
			acquaint(t, node, d.stranger(t, addr, friend, our.Public))
			node.Quiet(t, s.id)
			if _, ok := node.Peer(s.id); ok || len(node.Peers()) != 1 {
				t.Errorf("peers %X", node.Peers())
			}
			s.hearsNothing()
		})
	}
}

// TestCurveServerRefuses: the stranger's ZAP handler does not know our node,
// which therefore cannot say anything to it, and goes on with others.
func TestCurveServerRefuses(t *testing.T) {
	our, their := newKeys(t), newKeys(t)
	nobody, everybody := admit(t, "nobody"), admit(t, "everybody", our.Public)
	node, addr := newNode(t, withKeys(our))
	s := nobody.stranger(t, addr, their, our.Public)
	s.hello("stranger", 0)
	node.Next(t, s.id, fallback.Enter)
	node.Must(node.Whisper(s.id, []byte("secret")))
	acquaint(t, node, everybody.stranger(t, addr, newKeys(t), our.Public))
	s.hearsNothing()
}

// TestCurveWrongServer: the stranger that our node dials does not have the
// key that it said.
func TestCurveWrongServer(t *testing.T) {
	our, their := newKeys(t), newKeys(t)
	d := admit(t, "", our.Public)
	node, addr := newNode(t, withKeys(our))
	s := d.stranger(t, addr, their, our.Public)
	elsewhere := d.stranger(t, addr, newKeys(t), our.Public)
	s.endpoint = elsewhere.endpoint
	s.hello("stranger", 0)
	node.Next(t, s.id, fallback.Enter)
	node.Must(node.Whisper(s.id, []byte("secret")))
	acquaint(t, node, d.stranger(t, addr, newKeys(t), our.Public))
	elsewhere.hearsNothing()
	s.hearsNothing()
}

// hearsNothing checks that nothing has come in.
func (s *stranger) hearsNothing() {
	s.t.Helper()
	frames, err := s.in.RecvMessage(zmq4.DONTWAIT)
	if zmq4.AsErrno(err) != zmq4.Errno(syscall.EAGAIN) {
		s.t.Errorf("%q, %v", strings.Join(frames, " "), err)
	}
}
