package zmtp

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/gozyre/zyre/internal/key"
)

func keysOf(t testing.TB) key.Pair {
	t.Helper()
	k, err := key.New()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// end is what one side of a connection has after its handshake.
type end struct {
	conn   net.Conn
	r      *Reader
	remote Remote
	err    error
	in     []byte // all that arrived in the handshake
}

// recorder keeps what is read.
type recorder struct {
	net.Conn
	read bytes.Buffer
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.read.Write(b[:n])
	return n, err
}

// connect lets a client and a server shake hands over TCP. As a caller must,
// it closes the connection of the side that fails.
func connect(t testing.TB, client, server *Self) (c, s end) {
	t.Helper()
	a, b := pipe(t)
	shake := func(conn net.Conn, self *Self) (e end) {
		rec := &recorder{Conn: conn}
		e.conn = conn
		e.r, e.remote, e.err = Handshake(rec, self, 1<<20)
		e.in = rec.read.Bytes()
		if e.err != nil {
			conn.Close()
		}
		return e
	}
	done := make(chan end)
	go func() { done <- shake(a, client) }()
	s = shake(b, server)
	return <-done, s
}

// pairOf returns both sides of a connection that works.
func pairOf(t testing.TB) (client, server *Self) {
	t.Helper()
	keys := keysOf(t)
	identity := append([]byte{1}, bytes.Repeat([]byte{7}, 16)...)
	client = &Self{Socket: "DEALER", Identity: identity, Curve: &Curve{Keys: keysOf(t), ServerKey: keys.Public}}
	return client, &Self{Socket: "ROUTER", Property: "X-Test", Curve: &Curve{Keys: keys}, Listener: true}
}

// next waits for a frame.
func (e *end) next(t testing.TB) (byte, []byte) {
	t.Helper()
	for {
		flags, body, ok, err := e.r.Next()
		if err == nil && ok {
			return flags, body
		}
		if err == nil {
			err = e.r.Fill()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCurveBothRoles(t *testing.T) {
	client, server := pairOf(t)
	c, s := connect(t, client, server)
	if c.err != nil || s.err != nil {
		t.Fatal(c.err, s.err)
	}
	if c.remote.Key != server.Curve.Keys.Public || c.remote.Properties != "X-Test " || c.remote.Minor != 1 || len(c.remote.Identity) != 0 {
		t.Errorf("client: %+v", c.remote)
	}
	if s.remote.Key != client.Curve.Keys.Public || !bytes.Equal(s.remote.Identity, client.Identity) {
		t.Errorf("server: %+v", s.remote)
	}
	for _, seen := range [][]byte{c.in, s.in} {
		for _, secret := range []string{"DEALER", "ROUTER", "X-Test", string(client.Identity), string(client.Curve.Keys.Public[:])} {
			if bytes.Contains(seen, []byte(secret)) {
				t.Errorf("%q is seen on the wire", secret)
			}
		}
	}
	for _, way := range []struct{ from, to *end }{{&c, &s}, {&s, &c}} {
		for i, size := range []int{0, 1, 31, 255, 256, 10000, 1 << 20} {
			flags := []byte{0, More, Command}[i%3]
			body := bytes.Repeat([]byte{byte(i)}, size)
			sent := make(chan error, 1)
			go func() {
				_, err := way.from.conn.Write(way.from.remote.Sealer.Append(nil, flags, body))
				sent <- err
			}()
			if got, b := way.to.next(t); got&^Own != flags || !bytes.Equal(b, body) {
				t.Errorf("flags %d with %d bytes came as %d with %d", flags, size, got, len(b))
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestNullHasNoSealer(t *testing.T) {
	c, s := connect(t, &Self{Socket: "DEALER"}, &Self{Socket: "ROUTER", Listener: true})
	if c.err != nil || s.err != nil || c.remote.Sealer != nil || s.remote.Sealer != nil || s.remote.Key != ([32]byte{}) {
		t.Fatalf("%+v, %+v", c, s)
	}
}

func TestCurveWrongServerKey(t *testing.T) {
	client, server := pairOf(t)
	client.Curve.ServerKey = keysOf(t).Public
	c, s := connect(t, client, server)
	if !errors.Is(s.err, ErrProtocol) {
		t.Errorf("server: %v", s.err)
	}
	if c.err == nil || errors.Is(c.err, ErrProtocol) || len(c.in) != greetingSize {
		t.Errorf("client: %v after %d bytes, where a plain close follows the greeting", c.err, len(c.in))
	}
}

func TestCurveVerdicts(t *testing.T) {
	tests := []struct {
		verdict        Verdict
		client, server error
		last           string // what the server sends after WELCOME
	}{
		{Allowed, nil, nil, ""},
		{Denied, ErrDenied, ErrDenied, "\x04\x0a\x05ERROR\x03400"},
		{Later, io.EOF, ErrLater, ""},
		{Verdict(99), ErrDenied, ErrDenied, "\x04\x0a\x05ERROR\x03400"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.verdict), func(t *testing.T) {
			client, server := pairOf(t)
			var asked [][32]byte
			server.Curve.Allow = func(key [32]byte) Verdict {
				asked = append(asked, key)
				return tt.verdict
			}
			c, s := connect(t, client, server)
			if !errors.Is(c.err, tt.client) || !errors.Is(s.err, tt.server) {
				t.Errorf("client: %v, server: %v", c.err, s.err)
			}
			if len(asked) != 1 || asked[0] != client.Curve.Keys.Public {
				t.Errorf("asked about %x", asked)
			}
			if tt.verdict != Allowed && string(c.in[greetingSize+170:]) != tt.last {
				t.Errorf("the server ended with %x", c.in[greetingSize+170:])
			}
			if errors.Is(s.err, ErrProtocol) {
				t.Errorf("%v counts as a fault of the client", s.err)
			}
		})
	}
}

// A side without CURVE is turned away, and hears nothing but a greeting.
func TestCurveMechanismMismatch(t *testing.T) {
	check := func(client, server *Self, plain func(c, s end) end) {
		t.Helper()
		c, s := connect(t, client, server)
		if c.err == nil || s.err == nil || !errors.Is(c.err, ErrProtocol) && !errors.Is(s.err, ErrProtocol) {
			t.Errorf("client: %v, server: %v", c.err, s.err)
		}
		if in := plain(c, s).in; len(in) > greetingSize {
			t.Errorf("the side with CURVE sent %x", in)
		}
	}
	client, server := pairOf(t)
	check(&Self{Socket: "DEALER"}, server, func(c, _ end) end { return c })
	check(client, &Self{Socket: "ROUTER", Listener: true}, func(_, s end) end { return s })
}

func TestCurveSameRoles(t *testing.T) {
	client, _ := pairOf(t)
	other, _ := pairOf(t)
	if c, s := connect(t, client, other); c.err == nil || s.err == nil {
		t.Errorf("two clients: %v, %v", c.err, s.err)
	}
}

// Points whose product with every secret key is known.
var lowOrder = [][32]byte{
	{},
	{1},
	{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
}

func TestCurveLowOrder(t *testing.T) {
	secret, err := newSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range lowOrder {
		client, server := pairOf(t)
		client.Curve.ServerKey = point
		in := &scripted{Reader: bytes.NewReader(appendGreeting(nil, mechanismCurve))}
		if _, _, err := Handshake(in, client, 1000); !errors.Is(err, ErrProtocol) || in.wrote.Len() > greetingSize {
			t.Errorf("server key %x: %v", point, err)
		}
		// As the client's short-term key: the shared secret is zero.
		hello := append(append(bytes.Clone(helloVersion), point[:]...), make([]byte, 8)...)
		hello = sealBox(hello, nonceHello, make([]byte, 8), make([]byte, 64), new([32]byte))
		in = &scripted{Reader: bytes.NewReader(AppendCommand(appendGreeting(nil, mechanismCurve), "HELLO", hello))}
		if _, _, err := Handshake(in, server, 1000); !errors.Is(err, ErrProtocol) || in.wrote.Len() > greetingSize {
			t.Errorf("short-term key %x: %v", point, err)
		}
		if _, err := sharedKey(point, secret); err == nil {
			t.Errorf("%x is accepted", point)
		}
	}
}

func TestCurveCommandsRefused(t *testing.T) {
	c := readCapture(t, 0)
	greeting := c.fromClient[:greetingSize:greetingSize]
	hello := c.fromClient[greetingSize+2 : greetingSize+202]
	initiate := c.fromClient[greetingSize+202 : capturedClient]
	welcome := c.fromServer[greetingSize+2 : greetingSize+170]
	padded := bytes.Clone(hello)
	padded[20] = 1
	tests := []struct {
		name  string
		curve *Curve
		in    []byte
	}{
		{"HELLO not as command", c.server, AppendFrame(nil, 0, hello)},
		{"HELLO longer", c.server, AppendFrame(nil, Command, append(bytes.Clone(hello), 0))},
		{"HELLO shorter", c.server, AppendFrame(nil, Command, hello[:len(hello)-1])},
		{"HELLO with data as padding", c.server, AppendFrame(nil, Command, padded)},
		{"INITIATE first", c.server, initiate},
		{"READY of NULL", c.server, ready("Socket-Type", "DEALER")},
		{"HELLO twice", c.server, append(AppendFrame(nil, Command, hello), AppendFrame(nil, Command, hello)...)},
		{"ERROR of the client", c.server, AppendCommand(nil, "ERROR", []byte("\x03400"))},
		{"huge command", c.server, AppendHeader(nil, Command, 1<<30)},
		{"PING first", c.server, AppendCommand(nil, "PING", []byte{0, 0})},
		{"empty command", c.server, AppendFrame(nil, Command, nil)},
		{"WELCOME longer", c.client, AppendFrame(nil, Command, append(bytes.Clone(welcome), 0))},
		{"WELCOME not as command", c.client, AppendFrame(nil, 0, welcome)},
		{"READY first", c.client, c.fromServer[greetingSize+170:]},
		{"WELCOME twice", c.client, append(AppendFrame(nil, Command, welcome), AppendFrame(nil, Command, welcome)...)},
		{"READY too short", c.client, append(AppendFrame(nil, Command, welcome), AppendCommand(nil, "READY", make([]byte, readyLeast-1))...)},
	}
	for _, tt := range tests {
		p := play(tt.curve, nil, append(greeting, tt.in...), 1<<20)
		if !errors.Is(p.err, ErrProtocol) && !errors.Is(p.err, ErrTooLarge) {
			t.Errorf("%s: %v", tt.name, p.err)
		}
	}
}

func TestCurveClientIsDenied(t *testing.T) {
	c := readCapture(t, 0)
	for name, before := range map[string]int{"WELCOME": greetingSize, "READY": greetingSize + 170} {
		in := AppendCommand(bytes.Clone(c.fromServer[:before]), "ERROR", []byte("\x03400"))
		if p := play(c.client, nil, in, 1<<20); !errors.Is(p.err, ErrDenied) || !errors.Is(p.err, ErrProtocol) {
			t.Errorf("ERROR instead of %s: %v", name, p.err)
		}
	}
}

// Every random byte is asked for, and a side that gets none gives up.
func TestCurveWithoutRandomness(t *testing.T) {
	c := readCapture(t, 0)
	for _, side := range []struct {
		curve *Curve
		in    []byte
	}{{c.client, c.fromServer}, {c.server, c.fromClient}} {
		all := side.curve.random.(*again).all
		for _, n := range []int{0, 31, 32, 47, 48, 80, len(all) - 1, len(all)} {
			curve := *side.curve
			curve.random = bytes.NewReader(all[:min(n, len(all))])
			p := play(&curve, nil, side.in, 1<<20)
			exhausted := errors.Is(p.err, io.EOF) || errors.Is(p.err, io.ErrUnexpectedEOF)
			if exhausted != (n < len(all)) || (p.err == nil) != (n >= len(all)) {
				t.Errorf("server %t with %d random bytes of %d: %v", side.curve == c.server, n, len(all), p.err)
			}
		}
	}
}

func BenchmarkCurveHandshake(b *testing.B) {
	c := readCapture(b, 0)
	for name, play := range map[string]func() played{
		"client": func() played { return play(c.client, nil, c.fromServer, 1<<20) },
		"server": func() played { return play(c.server, nil, c.fromClient, 1<<20) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p := play(); p.err != nil {
					b.Fatal(p.err)
				}
			}
		})
	}
}
