package zmtp

import (
	"crypto/ecdh"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/nacl/secretbox"
	//lint:ignore SA1019 The box of a MESSAGE is worked on in place, which secretbox cannot do.
	"golang.org/x/crypto/poly1305"
	"golang.org/x/crypto/salsa20/salsa"
)

// newSecret makes a secret key.
func newSecret(random io.Reader) (*ecdh.PrivateKey, error) {
	var secret [32]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return nil, err
	}
	return ecdh.X25519().NewPrivateKey(secret[:])
}

func publicOf(secret *ecdh.PrivateKey) [32]byte {
	return [32]byte(secret.PublicKey().Bytes())
}

// sharedKey derives what crypto_box of NaCl uses as key between two pairs. It
// refuses public keys of low order, whose shared secret everybody knows.
func sharedKey(public [32]byte, secret *ecdh.PrivateKey) (*[32]byte, error) {
	far, err := ecdh.X25519().NewPublicKey(public[:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	point, err := secret.ECDH(far)
	if err != nil {
		return nil, fmt.Errorf("%w: a public key of low order", ErrProtocol)
	}
	key := new([32]byte)
	salsa.HSalsa20(key, new([16]byte), (*[32]byte)(point), &salsa.Sigma)
	return key, nil
}

// boxNonce joins a prefix of RFC 26 with the part that differs each time.
func boxNonce(prefix string, rest []byte) *[24]byte {
	nonce := new([24]byte)
	copy(nonce[copy(nonce[:], prefix):], rest)
	return nonce
}

// sealBox appends a box of the handshake.
func sealBox(dst []byte, prefix string, rest, plain []byte, key *[32]byte) []byte {
	return secretbox.Seal(dst, plain, boxNonce(prefix, rest), key)
}

// openBox opens a box of the handshake.
func openBox(prefix string, rest, box []byte, key *[32]byte) ([]byte, error) {
	plain, ok := secretbox.Open(nil, box, boxNonce(prefix, rest), key)
	if !ok {
		return nil, fmt.Errorf("%w: the box after %q does not open", ErrProtocol, prefix)
	}
	return plain, nil
}

// A MESSAGE carries one frame: its name, a short nonce, the authenticator of
// the box, and in the box a byte of flags and the frame's body.
const (
	messageName     = "\x07MESSAGE"
	messageNonce    = len(messageName)
	messageTag      = messageNonce + 8
	messageFlags    = messageTag + poly1305.TagSize
	messageOverhead = messageFlags + 1

	innerMore    = 0x01
	innerCommand = 0x02

	fromClient = "CurveZMQMESSAGEC" // prefixes of the nonces
	fromServer = "CurveZMQMESSAGES"
)

// Every nonce of one direction has the same prefix, so that the first of the
// two steps of XSalsa20, which turns key and prefix into the key of Salsa20,
// is done once for a connection.
func messageKey(shared *[32]byte, prefix string) (key [32]byte) {
	salsa.HSalsa20(&key, (*[16]byte)([]byte(prefix)), shared, &salsa.Sigma)
	return key
}

// The first half of the first block of the key stream is the key of the
// authenticator. In a MESSAGE just as many bytes come before the box's
// content, so that all of it can be worked on in place.
var _ [messageFlags]byte = [32]byte{}

// Sealer makes the MESSAGE frames of one direction of a connection. It is
// used by one goroutine, and its frames go out in the order in which it made
// them, for the other side refuses older ones.
type Sealer struct {
	key  [32]byte
	last uint64 // nonce
}

// Size returns how many bytes Append adds for a body of n bytes.
func (s *Sealer) Size(n int) int {
	n += messageOverhead
	return HeaderSize(n) + n
}

// Append appends the MESSAGE frame for a frame with these flags (More and
// Command) and this body.
func (s *Sealer) Append(dst []byte, flags byte, body []byte) []byte {
	dst = AppendHeader(slices.Grow(dst, s.Size(len(body))), 0, messageOverhead+len(body))
	at := len(dst)
	dst = append(dst, make([]byte, messageFlags)...)
	dst = append(append(dst, innerFlags(flags)), body...)
	message := dst[at:]

	s.last++
	var counter [16]byte
	binary.BigEndian.PutUint64(counter[:], s.last)
	salsa.XORKeyStream(message, message, &counter, &s.key)
	tagKey := [32]byte(message)
	poly1305.Sum((*[poly1305.TagSize]byte)(message[messageTag:]), message[messageFlags:], &tagKey)
	copy(message, messageName)
	copy(message[messageNonce:], counter[:8])
	return dst
}

func innerFlags(flags byte) (inner byte) {
	if flags&More != 0 {
		inner |= innerMore
	}
	if flags&Command != 0 {
		inner |= innerCommand
	}
	return inner
}

func outerFlags(inner byte) (flags byte) {
	if inner&innerMore != 0 {
		flags |= More
	}
	if inner&innerCommand != 0 {
		flags |= Command
	}
	return flags
}

// opener opens the MESSAGE frames of one direction of a connection.
type opener struct {
	key  [32]byte
	last uint64 // nonce
}

// overhead is how much larger frames are on the wire.
func (o *opener) overhead() int {
	if o == nil {
		return 0
	}
	return messageOverhead
}

// open turns a MESSAGE, in place, into the frame that it carries. What it
// does not authenticate stays as it is.
func (o *opener) open(flags byte, message []byte) (byte, []byte, error) {
	// The flags outside the box are not authenticated: libzmq sets none, and
	// nothing may be read from them.
	if flags&^Own != 0 || len(message) < messageOverhead || string(message[:messageNonce]) != messageName {
		return 0, nil, fmt.Errorf("%w: a frame that is not a MESSAGE", ErrProtocol)
	}
	nonce := binary.BigEndian.Uint64(message[messageNonce:])
	if nonce <= o.last {
		return 0, nil, fmt.Errorf("%w: a MESSAGE with an old nonce", ErrProtocol)
	}
	var counter [16]byte
	copy(counter[:], message[messageNonce:messageTag])
	if !o.decrypt(message, &counter) {
		return 0, nil, fmt.Errorf("%w: a MESSAGE does not open", ErrProtocol)
	}
	o.last = nonce
	return outerFlags(message[messageFlags]) | flags&Own, message[messageOverhead:], nil
}

func (o *opener) decrypt(message []byte, counter *[16]byte) bool {
	box := message[messageFlags:]
	// The first block yields the key of the authenticator and goes on with
	// the start of the content, which must not change before it is verified.
	// Four blocks at once cost hardly more than one.
	var first [4 * 64]byte
	n := copy(first[32:], box)
	salsa.XORKeyStream(first[:32+n], first[:32+n], counter, &o.key)
	if !poly1305.Verify((*[poly1305.TagSize]byte)(message[messageTag:]), box, (*[32]byte)(first[:])) {
		return false
	}
	copy(box, first[32:])
	counter[8] = 4
	salsa.XORKeyStream(box[n:], box[n:], counter, &o.key)
	return true
}
