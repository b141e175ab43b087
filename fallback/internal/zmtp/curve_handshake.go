package zmtp

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gozyre/zyre/internal/key"
)

// Sizes of what follows the names of the four commands, and of their parts.
const (
	boxOverhead = 16
	cookieSize  = 16 + boxOverhead + 64
	vouchSize   = 16 + boxOverhead + 64

	helloPadding = 72 // so that a HELLO is not smaller than its answer
	helloKey     = 2 + helloPadding
	helloNonce   = helloKey + 32
	helloBox     = helloNonce + 8
	helloSize    = helloBox + boxOverhead + 64

	welcomeBox  = 16
	welcomeSize = welcomeBox + boxOverhead + 32 + cookieSize

	initiateNonce = cookieSize
	initiateBox   = initiateNonce + 8
	initiateLeast = initiateBox + boxOverhead + 32 + vouchSize

	readyBox   = 8
	readyLeast = readyBox + boxOverhead
)

// Prefixes of nonces.
const (
	nonceHello    = "CurveZMQHELLO---"
	nonceWelcome  = "WELCOME-"
	nonceCookie   = "COOKIE--"
	nonceInitiate = "CurveZMQINITIATE"
	nonceVouch    = "VOUCH---"
	nonceReady    = "CurveZMQREADY---"
)

// helloVersion begins a HELLO: version 1.0 of CurveZMQ, then the padding.
var helloVersion = append([]byte{1, 0}, make([]byte, helloPadding)...)

// nextNonce returns the next short nonce of this side.
func (s *curveSession) nextNonce() []byte {
	s.sent++
	return binary.BigEndian.AppendUint64(nil, s.sent)
}

// dial is the client's half.
func (s *curveSession) dial() (Remote, error) {
	short, err := newSecret(s.source())
	if err != nil {
		return Remote{}, err
	}
	s.short, s.farLong = short, s.ServerKey
	// Only who has the server's secret key finds this key too, so that the
	// WELCOME that opens with it proves the server.
	proof, err := sharedKey(s.farLong, s.short)
	if err != nil {
		return Remote{}, err
	}
	if err := s.send("HELLO", s.hello(proof)); err != nil {
		return Remote{}, err
	}
	welcome, err := s.receive("WELCOME", welcomeSize, welcomeSize)
	if err != nil {
		return Remote{}, err
	}
	cookie, err := s.readWelcome(welcome, proof)
	if err != nil {
		return Remote{}, err
	}
	initiate, err := s.initiate(cookie)
	if err != nil {
		return Remote{}, err
	}
	if err := s.send("INITIATE", initiate); err != nil {
		return Remote{}, err
	}
	ready, err := s.receive("READY", readyLeast, maxHandshake)
	if err != nil {
		return Remote{}, err
	}
	return s.readReady(ready)
}

func (s *curveSession) hello(proof *[32]byte) []byte {
	nonce := s.nextNonce()
	data := append(make([]byte, 0, helloSize), helloVersion...)
	data = append(data, s.short.PublicKey().Bytes()...)
	data = append(data, nonce...)
	return sealBox(data, nonceHello, nonce, make([]byte, 64), proof)
}

func (s *curveSession) readWelcome(data []byte, proof *[32]byte) (cookie []byte, err error) {
	plain, err := openBox(nonceWelcome, data[:welcomeBox], data[welcomeBox:], proof)
	if err != nil {
		return nil, err
	}
	s.farShort, cookie = [32]byte(plain), plain[32:]
	s.shared, err = sharedKey(s.farShort, s.short)
	return cookie, err
}

func (s *curveSession) initiate(cookie []byte) ([]byte, error) {
	vouch, err := s.vouch()
	if err != nil {
		return nil, err
	}
	nonce := s.nextNonce()
	plain := append(bytes.Clone(s.Keys.Public[:]), vouch...)
	plain = append(plain, s.self.metadata()...)
	return sealBox(append(cookie, nonce...), nonceInitiate, nonce, plain, s.shared), nil
}

// vouch confirms with the long-term key that the short-term key is ours, and
// that it is meant for this server.
func (s *curveSession) vouch() ([]byte, error) {
	key, err := sharedKey(s.farShort, s.long)
	if err != nil {
		return nil, err
	}
	nonce, err := s.longNonce()
	if err != nil {
		return nil, err
	}
	return sealBox(nonce, nonceVouch, nonce, append(s.short.PublicKey().Bytes(), s.farLong[:]...), key), nil
}

func (s *curveSession) readReady(data []byte) (Remote, error) {
	plain, err := openBox(nonceReady, data[:readyBox], data[readyBox:], s.shared)
	if err != nil {
		return Remote{}, err
	}
	s.received = binary.BigEndian.Uint64(data)
	return parseMetadata(plain, s.self.Socket)
}

// accept is the server's half.
func (s *curveSession) accept() (Remote, error) {
	hello, err := s.receive("HELLO", helloSize, helloSize)
	if err != nil {
		return Remote{}, err
	}
	proof, err := s.readHello(hello)
	if err != nil {
		return Remote{}, err
	}
	cookie, err := s.cookie()
	if err != nil {
		return Remote{}, err
	}
	welcome, err := s.welcome(cookie, proof)
	if err != nil {
		return Remote{}, err
	}
	if err := s.send("WELCOME", welcome); err != nil {
		return Remote{}, err
	}
	initiate, err := s.receive("INITIATE", initiateLeast, maxHandshake)
	if err != nil {
		return Remote{}, err
	}
	remote, err := s.readInitiate(initiate, cookie)
	if err != nil {
		return Remote{}, err
	}
	if err := s.admit(); err != nil {
		return Remote{}, err
	}
	return remote, s.send("READY", s.ready())
}

func (s *curveSession) readHello(data []byte) (proof *[32]byte, err error) {
	if !bytes.Equal(data[:helloKey], helloVersion) {
		return nil, fmt.Errorf("%w: a HELLO of another version", ErrProtocol)
	}
	s.farShort = [32]byte(data[helloKey:])
	if proof, err = sharedKey(s.farShort, s.long); err != nil {
		return nil, err
	}
	plain, err := openBox(nonceHello, data[helloNonce:helloBox], data[helloBox:], proof)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(plain, make([]byte, 64)) {
		return nil, fmt.Errorf("%w: the box of a HELLO is not empty", ErrProtocol)
	}
	if s.short, err = newSecret(s.source()); err != nil {
		return nil, err
	}
	s.shared, err = sharedKey(s.farShort, s.short)
	return proof, err
}

// cookie is for servers that forget a client until it comes back with its
// INITIATE. This one has a connection to keep its state with, so that it only
// compares the cookie, and the key of its box is never needed again.
func (s *curveSession) cookie() ([]byte, error) {
	nonce, err := s.longNonce()
	if err != nil {
		return nil, err
	}
	var key [32]byte
	if _, err := io.ReadFull(s.source(), key[:]); err != nil {
		return nil, err
	}
	return sealBox(nonce, nonceCookie, nonce, append(bytes.Clone(s.farShort[:]), s.short.Bytes()...), &key), nil
}

func (s *curveSession) welcome(cookie []byte, proof *[32]byte) ([]byte, error) {
	nonce, err := s.longNonce()
	if err != nil {
		return nil, err
	}
	return sealBox(nonce, nonceWelcome, nonce, append(s.short.PublicKey().Bytes(), cookie...), proof), nil
}

func (s *curveSession) readInitiate(data, cookie []byte) (Remote, error) {
	if subtle.ConstantTimeCompare(data[:cookieSize], cookie) != 1 {
		return Remote{}, fmt.Errorf("%w: an INITIATE with another cookie", ErrProtocol)
	}
	nonce := data[initiateNonce:initiateBox]
	plain, err := openBox(nonceInitiate, nonce, data[initiateBox:], s.shared)
	if err != nil {
		return Remote{}, err
	}
	s.received = binary.BigEndian.Uint64(nonce)
	s.farLong = [32]byte(plain)
	if err := s.readVouch(plain[32 : 32+vouchSize]); err != nil {
		return Remote{}, err
	}
	return parseMetadata(plain[32+vouchSize:], s.self.Socket)
}

// readVouch checks that the owner of the client's long-term key made this
// connection, and made it to this server: the vouch of a connection to
// another server, which that server could pass on, names the other's key.
func (s *curveSession) readVouch(vouch []byte) error {
	key, err := sharedKey(s.farLong, s.short)
	if err != nil {
		return err
	}
	plain, err := openBox(nonceVouch, vouch[:16], vouch[16:], key)
	if err != nil {
		return err
	}
	if !bytes.Equal(plain[:32], s.farShort[:]) || !bytes.Equal(plain[32:], s.Keys.Public[:]) {
		return fmt.Errorf("%w: a vouch for another connection", ErrProtocol)
	}
	return nil
}

// admit asks Allow about the client.
func (s *curveSession) admit() error {
	if s.Allow == nil {
		return nil
	}
	switch s.Allow(s.farLong) {
	case Allowed:
		return nil
	case Later:
		return fmt.Errorf("%w: %s", ErrLater, key.Encode(s.farLong))
	}
	return errors.Join(
		fmt.Errorf("%w: %s", ErrDenied, key.Encode(s.farLong)),
		s.send("ERROR", []byte("\x03400")),
	)
}

func (s *curveSession) ready() []byte {
	nonce := s.nextNonce()
	return sealBox(nonce, nonceReady, nonce, s.self.metadata(), s.shared)
}
