package hostile

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/crypto/nacl/box"
)

// Keys are a pair for CURVE.
type Keys struct{ Public, Secret [32]byte }

// NewKeys makes a pair.
func NewKeys() Keys {
	public, secret, err := box.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return Keys{*public, *secret}
}

// Curve is a client's side of a handshake of CURVE, step by step, so that an
// attack can spoil each.
type Curve struct {
	*Conn
	Own    Keys
	Server [32]byte // the key that the victim has, or that the attacker says it has

	r      *bufio.Reader
	short  Keys
	far    [32]byte // the victim's key for this connection
	cookie []byte
	shared [32]byte
	nonce  uint64
}

// DialCurve connects and greets.
func (s *Scene) DialCurve(own Keys) (*Curve, error) { return s.DialCurveFrom(s.Addr, newID(), own) }

// DialCurveFrom does so from an address and with an identity of choice.
func (s *Scene) DialCurveFrom(from netip.Addr, id UUID, own Keys) (*Curve, error) {
	c, err := s.greetCurve(from, id)
	if err != nil {
		return nil, err
	}
	c.Own, c.short = own, NewKeys()
	return c, nil
}

// greetCurve connects and greets, as somebody who has no keys yet.
func (s *Scene) greetCurve(from netip.Addr, id UUID) (*Curve, error) {
	conn, err := s.DialFrom(from)
	if err != nil {
		return nil, err
	}
	conn.ID = id
	c := &Curve{Conn: conn, Server: s.Key, r: bufio.NewReader(conn)}
	c.Send(Greeting(1, "CURVE"))
	c.SetReadDeadline(time.Now().Add(patience))
	_, err = io.CopyN(io.Discard, c.r, 64)
	return c, err
}

// short nonces count up.
func (c *Curve) next() []byte {
	c.nonce++
	return binary.BigEndian.AppendUint64(nil, c.nonce)
}

func seal(prefix string, nonce, plain []byte, far, own [32]byte) []byte {
	return box.Seal(nil, plain, fullNonce(prefix, nonce), &far, &own)
}

func fullNonce(prefix string, rest []byte) *[24]byte {
	var n [24]byte
	copy(n[copy(n[:], prefix):], rest)
	return &n
}

// HelloData is what a HELLO has behind its name.
func (c *Curve) HelloData() []byte {
	nonce := c.next()
	data := append([]byte{1, 0}, make([]byte, 72)...)
	data = append(append(data, c.short.Public[:]...), nonce...)
	return append(data, seal("CurveZMQHELLO---", nonce, make([]byte, 64), c.Server, c.short.Secret)...)
}

// Welcome reads what the victim answers to a HELLO.
func (c *Curve) Welcome() error {
	data, err := c.command("WELCOME")
	if err != nil {
		return err
	}
	if len(data) != 160 {
		return fmt.Errorf("a WELCOME of %d bytes", len(data))
	}
	plain, ok := box.Open(nil, data[16:], fullNonce("WELCOME-", data[:16]), &c.Server, &c.short.Secret)
	if !ok {
		return fmt.Errorf("a WELCOME that does not open")
	}
	c.far, c.cookie = [32]byte(plain), plain[32:]
	box.Precompute(&c.shared, &c.far, &c.short.Secret)
	return nil
}

func (c *Curve) command(name string) ([]byte, error) {
	c.SetReadDeadline(time.Now().Add(patience))
	_, body, err := readFrame(c.r)
	if err != nil {
		return nil, fmt.Errorf("instead of %s: %w", name, err)
	}
	if len(body) < 1+len(name) || string(body[1:1+len(name)]) != name {
		return nil, fmt.Errorf("%.20q instead of %s", body, name)
	}
	return body[1+len(name):], nil
}

// Vouch confirms that the connection is of the owner of the long-term key.
func (c *Curve) Vouch(by Keys, to [32]byte) []byte {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	return append(nonce, seal("VOUCH---", nonce, append(c.short.Public[:], to[:]...), c.far, by.Secret)...)
}

// InitiateData is what an INITIATE has behind its name.
func (c *Curve) InitiateData(vouch, metadata []byte) []byte {
	nonce := c.next()
	plain := append(append(append([]byte(nil), c.Own.Public[:]...), vouch...), metadata...)
	data := append(append([]byte(nil), c.cookie...), nonce...)
	return append(data, box.SealAfterPrecomputation(nil, plain, fullNonce("CurveZMQINITIATE", nonce), &c.shared)...)
}

// Metadata is that of a node.
func (c *Curve) Metadata() []byte {
	return append(Property("Socket-Type", []byte("DEALER")), Property("Identity", Identity(c.ID))...)
}

// Sealed returns the frame that carries a frame.
func (c *Curve) Sealed(flags byte, body []byte) []byte {
	nonce := c.next()
	sealed := box.SealAfterPrecomputation(nil, append([]byte{flags}, body...), fullNonce("CurveZMQMESSAGEC", nonce), &c.shared)
	return Frame(0, append(append([]byte("\x07MESSAGE"), nonce...), sealed...))
}

// Greeted goes as far as WELCOME.
func (c *Curve) Greeted() error {
	c.Send(Cmd("HELLO", c.HelloData()))
	return c.Welcome()
}

// Shaken goes as far as READY.
func (c *Curve) Shaken() error {
	if err := c.Greeted(); err != nil {
		return err
	}
	c.Send(Cmd("INITIATE", c.InitiateData(c.Vouch(c.Own, c.Server), c.Metadata())))
	_, err := c.command("READY")
	return err
}

// HelloOf is the HELLO of ZRE of a node with a key.
func (c *Curve) HelloOf(at netip.AddrPort, publicKey string) []byte {
	h := HelloAt(at)
	h.Headers = [][2]string{{"X-PUBLICKEY", publicKey}}
	return c.Sealed(0, h.Bytes(1))
}

// Z85 writes a key as text (RFC 32 of ZeroMQ).
func Z85(key [32]byte) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
	var text []byte
	for i := 0; i < len(key); i += 4 {
		n := binary.BigEndian.Uint32(key[i:])
		for _, d := range []uint32{85 * 85 * 85 * 85, 85 * 85 * 85, 85 * 85, 85, 1} {
			text = append(text, digits[n/d%85])
		}
	}
	return string(text)
}
