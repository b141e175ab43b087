// Package key has the keys of the CURVE mechanism: pairs of Curve25519, and
// their text form, Z85.
package key

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"io"
)

// Pair is a pair of keys.
type Pair struct{ Public, Secret [32]byte }

// String returns the public key in Z85, so that no log shows the secret one.
func (p Pair) String() string { return Encode(p.Public) }

// New makes a pair of keys. Its public key never begins with a zero byte,
// which libzyre takes for no key in a beacon.
func New() (Pair, error) { return newPair(rand.Reader) }

func newPair(random io.Reader) (Pair, error) {
	for {
		var secret [32]byte
		if _, err := io.ReadFull(random, secret[:]); err != nil {
			return Pair{}, err
		}
		if p, err := From(secret); err != nil || p.Public[0] != 0 {
			return p, err
		}
	}
}

// From returns the pair that belongs to a secret key.
func From(secret [32]byte) (Pair, error) {
	if secret == ([32]byte{}) {
		return Pair{}, fmt.Errorf("%w: the secret key is zero", ErrInvalid)
	}
	own, err := ecdh.X25519().NewPrivateKey(secret[:])
	if err != nil {
		return Pair{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return Pair{[32]byte(own.PublicKey().Bytes()), secret}, nil
}
