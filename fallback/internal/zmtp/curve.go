package zmtp

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/gozyre/zyre/internal/key"
)

const mechanismCurve = "CURVE"

// Errors of a listener that does not let a client in.
var (
	ErrDenied = errors.New("zmtp: access denied") // also what a client gets that was denied
	ErrLater  = errors.New("zmtp: not now")
)

// Curve is what a side needs for the CURVE mechanism (RFC 25 and 26 of
// ZeroMQ).
type Curve struct {
	Keys key.Pair

	// ServerKey is, for the dialling side, the public key that the listener
	// must prove to own.
	ServerKey [32]byte

	// Allow decides for the listener about a client that has proved to own
	// this public key, before the client hears that all is well. If it is
	// nil, every client may come in.
	Allow func(client [32]byte) Verdict

	random io.Reader // nil: the system's; tests repeat a captured handshake
}

// Verdict is what a listener decides about a client.
type Verdict int

// Verdicts, with the status codes of ZAP (RFC 27) that libzmq treats so.
const (
	Allowed Verdict = iota // 200
	Denied                 // 400: the client is told, and libzmq's never comes back
	Later                  // 300: the connection ends without a word, and the client tries again
)

// curveSession is a handshake on its way.
type curveSession struct {
	*Curve
	rw   io.ReadWriter
	r    *Reader
	self *Self

	long     *ecdh.PrivateKey // Keys.Secret
	short    *ecdh.PrivateKey // of this connection
	farLong  [32]byte         // the other side's public keys
	farShort [32]byte
	shared   *[32]byte // between the short-term keys
	sent     uint64    // last short nonce of this side
	received uint64    // last short nonce of the other side
}

func handshakeCurve(rw io.ReadWriter, self *Self, limit int) (*Reader, Remote, error) {
	// Nothing but the greeting goes out before the other side has shown that
	// it wants CURVE too.
	r := NewReader(rw, maxHandshake)
	minor, err := r.greeting(mechanismCurve, newOpening(rw, self, appendGreeting(nil, mechanismCurve)))
	if err != nil {
		return nil, Remote{}, err
	}
	long, err := ecdh.X25519().NewPrivateKey(self.Curve.Keys.Secret[:])
	if err != nil {
		return nil, Remote{}, err
	}
	s := &curveSession{Curve: self.Curve, rw: rw, r: r, self: self, long: long}
	shake := s.dial
	if self.Listener {
		shake = s.accept
	}
	remote, err := shake()
	if err != nil {
		return nil, Remote{}, err
	}
	remote.Minor, remote.Key = minor, s.farLong
	remote.Sealer, r.opener = s.traffic()
	r.SetLimit(limit)
	return r, remote, nil
}

// traffic returns what seals and opens the frames after the handshake.
func (s *curveSession) traffic() (*Sealer, *opener) {
	own, far := fromClient, fromServer
	if s.self.Listener {
		own, far = far, own
	}
	return &Sealer{messageKey(s.shared, own), s.sent},
		&opener{messageKey(s.shared, far), s.received}
}

func (s *curveSession) source() io.Reader {
	if s.random != nil {
		return s.random
	}
	return rand.Reader
}

// longNonce makes the random part of a nonce.
func (s *curveSession) longNonce() ([]byte, error) {
	nonce := make([]byte, 16)
	_, err := io.ReadFull(s.source(), nonce)
	return nonce, err
}

func (s *curveSession) send(name string, data []byte) error {
	_, err := s.rw.Write(AppendCommand(nil, name, data))
	return err
}

// receive waits for a command, whose data must have at least so many bytes,
// and at most.
func (s *curveSession) receive(want string, least, most int) ([]byte, error) {
	flags, body, err := s.r.frame()
	if err != nil {
		return nil, err
	}
	name, data, err := ParseCommand(body)
	switch {
	case err != nil:
		return nil, err
	case flags != Command:
		return nil, fmt.Errorf("%w: a frame with flags %#x instead of %s", ErrProtocol, flags, want)
	case string(name) == "ERROR" && !s.self.Listener:
		return nil, fmt.Errorf("%w: %w: the other side said %q", ErrProtocol, ErrDenied, data)
	case string(name) != want:
		return nil, fmt.Errorf("%w: %q instead of %s", ErrProtocol, name, want)
	case len(data) < least || len(data) > most:
		return nil, fmt.Errorf("%w: a %s of %d bytes", ErrProtocol, want, len(data))
	}
	return data, nil
}
