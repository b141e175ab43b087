package zmtp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Sizes and limits of the handshake.
const (
	greetingSize  = 64
	maxHandshake  = 4 << 10 // a READY of ours has 60 bytes
	mechanismNull = "NULL"
)

// Self is what a side says of itself in the handshake.
type Self struct {
	Socket   string // "DEALER" or "ROUTER"
	Identity []byte
	Property string // name of an additional, empty property; "": none
	Curve    *Curve // for the CURVE mechanism; nil: NULL

	// Listener says that the other side has made the connection. It speaks
	// first: before a listener knows who it is, it sends no more than it got.
	Listener bool
}

// Remote is what the other side said.
type Remote struct {
	Identity   []byte
	Minor      byte   // of the protocol version
	Properties string // names of the properties that ZMTP does not define, each followed by a space

	// With CURVE: the long-term public key that the other side proved to
	// own, and what seals the frames that go to it. Zero and nil with NULL.
	Key    [32]byte
	Sealer *Sealer
}

// Handshake exchanges greetings and the commands of the mechanism, up to
// READY. It returns the reader that goes on with the connection, with limit as
// the size of its largest frame. The caller sets a deadline on rw before, and
// closes rw after an error.
func Handshake(rw io.ReadWriter, self *Self, limit int) (*Reader, Remote, error) {
	if self.Curve != nil {
		return handshakeCurve(rw, self, limit)
	}
	// Greeting and READY go out in one write, without waiting: libzmq takes
	// both. It takes nothing more before it has sent its own READY.
	hello := appendGreeting(make([]byte, 0, 160), mechanismNull)
	opening := newOpening(rw, self, AppendCommand(hello, "READY", self.metadata()))
	r := NewReader(rw, maxHandshake)
	minor, err := r.greeting(mechanismNull, opening)
	if err != nil {
		return nil, Remote{}, err
	}
	_, body, err := r.frame()
	if err != nil {
		return nil, Remote{}, err
	}
	remote, err := parseReady(body, self.Socket)
	if err != nil {
		return nil, Remote{}, err
	}
	remote.Minor = minor
	r.SetLimit(limit)
	return r, remote, opening.finish(greetingSize + HeaderSize(len(body)) + len(body))
}

// opening is what a side says first, as far as it has not said it.
type opening struct {
	w    io.Writer
	rest []byte
	sent int
	all  bool // without waiting for the other side
}

func newOpening(w io.Writer, self *Self, what []byte) *opening {
	return &opening{w: w, rest: what, all: !self.Listener}
}

// answer says as much as has come from the other side so far.
func (o *opening) answer(came int) error {
	n := len(o.rest)
	if !o.all {
		n = min(n, came-o.sent)
	}
	if n <= 0 {
		return nil
	}
	part := o.rest[:n]
	o.sent, o.rest = o.sent+n, o.rest[n:]
	_, err := o.w.Write(part)
	return err
}

// finish says the rest, which must not be more than has come.
func (o *opening) finish(came int) error {
	if err := o.answer(came); err != nil {
		return err
	}
	if len(o.rest) > 0 {
		return fmt.Errorf("%w: a READY without a socket type and an identity", ErrProtocol)
	}
	return nil
}

func appendGreeting(dst []byte, mechanism string) []byte {
	var g [greetingSize]byte
	g[0], g[9], g[10], g[11] = 0xff, 0x7f, 3, 1
	g[8] = 1
	copy(g[12:32], mechanism)
	return append(dst, g[:]...)
}

// greeting reads the other side's greeting and returns its minor version. This
// side's goes out meanwhile.
func (r *Reader) greeting(mechanism string, opening *opening) (minor byte, err error) {
	for {
		// A peer of ZMTP 1.0 or no peer at all shows in its first byte.
		if r.w > r.r && r.buf[r.r] != 0xff {
			return 0, fmt.Errorf("%w: not a ZMTP 3 greeting", ErrProtocol)
		}
		if err := opening.answer(r.w - r.r); err != nil {
			return 0, err
		}
		if r.w-r.r >= greetingSize {
			break
		}
		if err := r.Fill(); err != nil {
			return 0, err
		}
	}
	g := r.buf[r.r : r.r+greetingSize]
	r.r += greetingSize
	var want [20]byte
	copy(want[:], mechanism)
	switch {
	case g[0] != 0xff || g[9]&1 != 1 || g[10] < 3:
		return 0, fmt.Errorf("%w: not a ZMTP 3 greeting", ErrProtocol)
	case !bytes.Equal(g[12:32], want[:]):
		return 0, fmt.Errorf("%w: the other side wants mechanism %q, this one %q", ErrProtocol, bytes.TrimRight(g[12:32], "\x00"), mechanism)
	}
	return g[11], nil
}

// frame waits for a whole frame of the handshake.
func (r *Reader) frame() (flags byte, body []byte, err error) {
	for {
		flags, body, ok, err := r.Next()
		if err != nil {
			return 0, nil, err
		}
		if ok {
			if flags&More != 0 {
				return 0, nil, fmt.Errorf("%w: a handshake command in several frames", ErrProtocol)
			}
			return flags, body, nil
		}
		if err := r.Fill(); err != nil {
			return 0, nil, err
		}
	}
}

func (s *Self) metadata() []byte {
	m := appendProperty(nil, "Socket-Type", []byte(s.Socket))
	m = appendProperty(m, "Identity", s.Identity)
	if s.Property != "" {
		m = appendProperty(m, s.Property, nil)
	}
	return m
}

func appendProperty(dst []byte, name string, value []byte) []byte {
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}

func parseReady(body []byte, own string) (Remote, error) {
	name, data, err := ParseCommand(body)
	if err != nil {
		return Remote{}, err
	}
	switch string(name) {
	case "READY":
		return parseMetadata(data, own)
	case "ERROR":
		return Remote{}, fmt.Errorf("%w: the other side refused the handshake: %q", ErrProtocol, data)
	}
	return Remote{}, fmt.Errorf("%w: %q instead of READY", ErrProtocol, name)
}

func parseMetadata(data []byte, own string) (remote Remote, err error) {
	for len(data) > 0 {
		var name, value []byte
		if name, value, data, err = cutProperty(data); err != nil {
			return Remote{}, err
		}
		switch {
		case foldEqual(name, "Socket-Type"):
			if !fits(own, string(value)) {
				return Remote{}, fmt.Errorf("%w: a %q cannot talk to a %s", ErrProtocol, value, own)
			}
		case foldEqual(name, "Identity"):
			if len(value) > 255 {
				return Remote{}, fmt.Errorf("%w: an identity of %d bytes", ErrProtocol, len(value))
			}
			remote.Identity = bytes.Clone(value)
		default:
			remote.Properties += string(name) + " "
		}
	}
	return remote, nil
}

func cutProperty(data []byte) (name, value, rest []byte, err error) {
	n := int(data[0])
	if n == 0 || len(data) < 1+n+4 {
		return nil, nil, nil, fmt.Errorf("%w: a property is cut short", ErrProtocol)
	}
	name, data = data[1:1+n], data[1+n:]
	size := binary.BigEndian.Uint32(data)
	data = data[4:]
	if uint64(size) > uint64(len(data)) {
		return nil, nil, nil, fmt.Errorf("%w: property %q is cut short", ErrProtocol, name)
	}
	return name, data[:size], data[size:], nil
}

func foldEqual(b []byte, s string) bool { return bytes.EqualFold(b, []byte(s)) }

// fits tells which socket types may be joined, as libzmq does.
func fits(own, other string) bool {
	switch other {
	case "DEALER", "ROUTER":
		return true
	case "REQ":
		return own == "ROUTER"
	case "REP":
		return own == "DEALER"
	}
	return false
}
