package zmtp

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/gozyre/zyre/internal/key"
)

// forger is a client that puts what it likes into its INITIATE.
type forger struct {
	claim   key.Pair // the long-term public key that it claims, and the secret one that it has
	short   [32]byte // vouched for; zero: its own
	server  [32]byte // the vouch is for; zero: the right one
	flip    int      // byte of the INITIATE to change, from 1 on
	cookie  bool     // replaced
	content []byte   // metadata
}

func (f *forger) handshake(rw io.ReadWriter, server [32]byte) error {
	s := &curveSession{Curve: &Curve{Keys: f.claim, ServerKey: server}, rw: rw, r: NewReader(rw, maxHandshake), self: &Self{Socket: "DEALER"}, farLong: server}
	_, err := s.r.greeting(mechanismCurve, newOpening(rw, s.self, appendGreeting(nil, mechanismCurve)))
	if err != nil {
		return err
	}
	if s.short, err = newSecret(rand.Reader); err != nil {
		return err
	}
	proof, err := sharedKey(server, s.short)
	if err != nil {
		return err
	}
	if err := s.send("HELLO", s.hello(proof)); err != nil {
		return err
	}
	welcome, err := s.receive("WELCOME", welcomeSize, welcomeSize)
	if err != nil {
		return err
	}
	cookie, err := s.readWelcome(welcome, proof)
	if err != nil {
		return err
	}
	if f.cookie {
		cookie[20] ^= 1
	}
	if err := s.send("INITIATE", f.initiate(s, cookie)); err != nil {
		return err
	}
	_, err = s.receive("READY", readyLeast, maxHandshake)
	return err
}

func (f *forger) initiate(s *curveSession, cookie []byte) []byte {
	short, server := f.short, f.server
	if short == ([32]byte{}) {
		short = publicOf(s.short)
	}
	if server == ([32]byte{}) {
		server = s.farLong
	}
	secret, err := newSecret(bytes.NewReader(f.claim.Secret[:]))
	if err != nil {
		panic(err)
	}
	vouchKey, err := sharedKey(s.farShort, secret)
	if err != nil {
		panic(err)
	}
	nonce := make([]byte, 16)
	vouch := sealBox(nonce, nonceVouch, nonce, append(bytes.Clone(short[:]), server[:]...), vouchKey)
	plain := append(bytes.Clone(f.claim.Public[:]), vouch...)
	if f.flip > 0 {
		plain[f.flip-1] ^= 1
	}
	short8 := s.nextNonce()
	return sealBox(append(cookie, short8...), nonceInitiate, short8, append(plain, f.content...), s.shared)
}

func TestCurveForgedInitiate(t *testing.T) {
	mallory, alice, other := keysOf(t), keysOf(t), keysOf(t)
	tests := []struct {
		name string
		f    forger
		ok   bool
	}{
		{"honest", forger{claim: mallory}, true},
		{"with an identity", forger{claim: mallory, content: appendProperty(nil, "Identity", []byte("me"))}, true},
		{"key of another", forger{claim: key.Pair{Public: alice.Public, Secret: mallory.Secret}}, false},
		{"key of low order", forger{claim: key.Pair{Public: [32]byte{1}, Secret: mallory.Secret}}, false},
		{"vouch for another connection", forger{claim: mallory, short: other.Public}, false},
		{"vouch for another server", forger{claim: mallory, server: other.Public}, false},
		{"another cookie", forger{claim: mallory, cookie: true}, false},
		{"key changed", forger{claim: mallory, flip: 1}, false},
		{"nonce of the vouch changed", forger{claim: mallory, flip: 33}, false},
		{"vouch changed", forger{claim: mallory, flip: 128}, false},
		{"metadata cut", forger{claim: mallory, content: []byte("\x08Identity\x00\x00\x00\x05x")}, false},
		{"socket type", forger{claim: mallory, content: appendProperty(nil, "Socket-Type", []byte("SUB"))}, false},
		{"long identity", forger{claim: mallory, content: appendProperty(nil, "Identity", make([]byte, 256))}, false},
		{"too long", forger{claim: mallory, content: appendProperty(nil, "X", make([]byte, maxHandshake))}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, server := pairOf(t)
			asked := 0
			server.Curve.Allow = func([32]byte) Verdict { asked++; return Allowed }
			a, b := pipe(t)
			done := make(chan error, 1)
			go func() {
				_, remote, err := Handshake(b, server, 1000)
				if err == nil && remote.Key != tt.f.claim.Public {
					err = fmt.Errorf("proven key %x", remote.Key)
				}
				b.Close()
				done <- err
			}()
			clientErr, err := tt.f.handshake(a, server.Curve.Keys.Public), <-done
			if (err == nil) != tt.ok || (clientErr == nil) != tt.ok || (asked == 1) != tt.ok {
				t.Errorf("server: %v, client: %v, asked %d times", err, clientErr, asked)
			}
			if !tt.ok && !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("server: %v", err)
			}
		})
	}
}
