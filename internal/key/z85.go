package key

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid is wrapped by the errors about keys that cannot be used.
var ErrInvalid = errors.New("invalid key")

// Z85 (RFC 32 of ZeroMQ) writes four bytes, most significant first, as five
// digits of base 85.
const (
	z85Digits  = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
	z85KeySize = 32 / 4 * 5
)

// Encode writes a key in the 40 characters of Z85.
func Encode(key [32]byte) string {
	var text [z85KeySize]byte
	for i := range len(key) / 4 {
		v := binary.BigEndian.Uint32(key[4*i:])
		for j := 4; j >= 0; j-- {
			text[5*i+j] = z85Digits[v%85]
			v /= 85
		}
	}
	return string(text[:])
}

// Decode reads what Encode writes, and nothing else. Its errors do not
// quote the text, which may be a secret.
func Decode(text string) (key [32]byte, err error) {
	if len(text) != z85KeySize {
		return key, fmt.Errorf("%w: %d characters of Z85 instead of %d", ErrInvalid, len(text), z85KeySize)
	}
	for i := range len(key) / 4 {
		var v uint64
		for j := range 5 {
			digit := strings.IndexByte(z85Digits, text[5*i+j])
			if digit < 0 {
				return [32]byte{}, fmt.Errorf("%w: character %d is not of Z85", ErrInvalid, 5*i+j+1)
			}
			v = 85*v + uint64(digit)
		}
		if v > 1<<32-1 {
			return [32]byte{}, fmt.Errorf("%w: characters %d to %d of Z85 exceed four bytes", ErrInvalid, 5*i+1, 5*i+5)
		}
		binary.BigEndian.PutUint32(key[4*i:], uint32(v))
	}
	return key, nil
}
