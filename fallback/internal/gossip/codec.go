// Package gossip speaks zgossip, the discovery protocol of czmq for networks
// that have no broadcast: nodes connect to hubs and publish tuples of a key
// and a value, here a UUID and an endpoint, that hubs pass on to everybody.
package gossip

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/internal/key"
)

type kind uint8

const (
	kindHello   kind = 1 // client: here I am, tell me all
	kindPublish kind = 2 // both: a tuple
	kindPing    kind = 3 // client
	kindPong    kind = 4 // hub
	kindInvalid kind = 5 // hub: I do not know you, say HELLO
)

const (
	signature = 0xaaa0
	version   = 1

	// maxFrame is far more than a tuple of a node has: zgossip carries
	// tuples of other programs too, which are passed over.
	maxFrame = 8 << 10
)

var (
	errMalformed = errors.New("gossip: malformed message")
	errForeign   = errors.New("gossip: not a tuple of a ZRE node")
)

// tuple says that the node with the UUID in key is reached at value, which
// is an endpoint, or an endpoint, '|' and a public key in Z85.
type tuple struct{ key, value string }

// appendMessage appends a message; t counts for a PUBLISH only. The time to
// live of a tuple has no effect in czmq, and is sent as 0.
func appendMessage(dst []byte, k kind, t tuple) []byte {
	dst = binary.BigEndian.AppendUint16(dst, signature)
	dst = append(dst, byte(k), version)
	if k != kindPublish {
		return dst
	}
	dst = append(dst, byte(len(t.key)))
	dst = append(dst, t.key...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(t.value)))
	dst = append(dst, t.value...)
	return binary.BigEndian.AppendUint32(dst, 0)
}

// parse reads a message. The key of a PUBLISH comes back in upper case. The
// error is errForeign for a sound message that has no meaning here.
func parse(b []byte) (kind, tuple, error) {
	if len(b) < 4 || binary.BigEndian.Uint16(b) != signature || b[3] != version {
		return 0, tuple{}, errMalformed
	}
	switch k := kind(b[2]); k {
	case kindHello, kindPing, kindPong, kindInvalid:
		return k, tuple{}, nil
	case kindPublish:
		t, err := parseTuple(b[4:])
		if err != nil {
			return 0, tuple{}, err
		}
		return k, t, nil
	}
	return 0, tuple{}, errMalformed
}

func parseTuple(b []byte) (tuple, error) {
	if len(b) < 1 || len(b) < 1+int(b[0])+4 {
		return tuple{}, errMalformed
	}
	end := 1 + int(b[0])
	name, b := b[1:end], b[end:]
	size := binary.BigEndian.Uint32(b)
	b = b[4:]
	if uint64(size)+4 > uint64(len(b)) { // the time to live follows
		return tuple{}, errMalformed
	}
	t := tuple{strings.ToUpper(string(name)), string(b[:size])}
	if !t.sound() {
		return tuple{}, errForeign
	}
	return t, nil
}

// sound tells whether a tuple can be one of a ZRE node. That keeps nodes
// alive which do not look: libzyre aborts at a key that is none.
func (t tuple) sound() bool {
	if len(t.key) != 32 || strings.Trim(t.key, "0123456789ABCDEF") != "" {
		return false
	}
	endpoint, public, keyed := strings.Cut(t.value, "|")
	if len(endpoint) > 255 || strings.ContainsRune(endpoint, 0) || transport.Check(endpoint) != nil {
		return false
	}
	if keyed {
		if _, err := key.Decode(public); err != nil {
			return false
		}
	}
	if t.inHost() {
		return true
	}
	host, port, err := transport.SplitTCP(endpoint)
	return err == nil && port != 0 && host != "" && host != "*"
}

// inHost tells whether the endpoint means nothing to other hosts.
func (t tuple) inHost() bool { return !strings.HasPrefix(t.value, "tcp://") }

// keyed tells whether the tuple has a public key.
func (t tuple) keyed() bool { return strings.Contains(t.value, "|") }

// Split cuts a value into the endpoint and the public key, which is empty
// where there is none.
func Split(value string) (endpoint, public string) {
	endpoint, public, _ = strings.Cut(value, "|")
	return endpoint, public
}
