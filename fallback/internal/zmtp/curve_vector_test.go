package zmtp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/gozyre/zyre/internal/key"
)

// capture is one captured connection between two nodes of libzyre, with all
// secrets, so that either side can be played again to the byte.
type capture struct {
	client, server *Curve
	fromClient     []byte
	fromServer     []byte
}

// Sizes of the handshake in the captures, greeting included.
const (
	capturedClient = greetingSize + 202 + 318
	capturedServer = greetingSize + 170 + 67
)

var captures = []struct{ name, client, server, prefix string }{
	{"curve_alice_to_bob.hex", "alice", "bob", "ab"},
	{"curve_bob_to_alice.hex", "bob", "alice", "ba"},
}

func readCapture(tb testing.TB, i int) *capture {
	tb.Helper()
	of := captures[i]
	keys := readHex(tb, "curve_keys.hex")
	all := func(names ...string) (joined []byte) {
		for _, name := range names {
			if len(keys[name]) == 0 {
				tb.Fatalf("no %s among the keys", name)
			}
			joined = append(joined, keys[name]...)
		}
		return joined
	}
	pair := func(name string) key.Pair {
		return key.Pair{Public: [32]byte(all(name + "_public")), Secret: [32]byte(all(name + "_secret"))}
	}
	of.prefix += "_"
	lines := readHex(tb, of.name)
	return &capture{
		client: &Curve{
			Keys: pair(of.client), ServerKey: pair(of.server).Public,
			random: &again{all(of.prefix+"client_short_secret", of.prefix+"vouch_nonce"), 0},
		},
		server: &Curve{
			Keys:   pair(of.server),
			random: &again{all(of.prefix+"server_short_secret", of.prefix+"cookie_nonce", of.prefix+"cookie_key", of.prefix+"welcome_nonce"), 0},
		},
		fromClient: lines["C"],
		fromServer: lines["S"],
	}
}

// readHex reads lines of a word and bytes, and joins those of the same word.
func readHex(tb testing.TB, file string) map[string][]byte {
	tb.Helper()
	text, err := os.ReadFile("../zre/testdata/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		word, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "" || word[0] == '#' {
			continue
		}
		data, err := hex.DecodeString(digits)
		if err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		all[word] = append(all[word], data...)
	}
	return all
}

// again is a source of randomness that begins anew once it was used up.
type again struct {
	all []byte
	at  int
}

func (a *again) Read(b []byte) (int, error) {
	if a.at == len(a.all) {
		a.at = 0
	}
	n := copy(b, a.all[a.at:])
	a.at += n
	return n, nil
}

type plainFrame struct {
	flags byte
	body  []byte
}

// played is what one side of a capture made of its input.
type played struct {
	remote Remote
	err    error
	wrote  []byte
	frames []plainFrame
	ended  error // what came after the frames
}

// play runs one side on what the other side sends, in pieces.
func play(curve *Curve, identity, in []byte, pieces int) (p played) {
	self := &Self{Socket: "DEALER", Identity: identity, Curve: curve}
	if curve.ServerKey == ([32]byte{}) {
		self = &Self{Socket: "ROUTER", Curve: curve, Listener: true}
	}
	if source, ok := curve.random.(*again); ok {
		source.at = 0
	}
	rw := &scripted{Reader: &slowReader{bytes.NewReader(in), pieces}}
	var r *Reader
	r, p.remote, p.err = Handshake(rw, self, 1000)
	p.wrote = rw.wrote.Bytes()
	if p.err != nil {
		return p
	}
	p.frames, p.ended = opened(r)
	return p
}

// opened reads frames until there are no more or one is refused.
func opened(r *Reader) (frames []plainFrame, err error) {
	for {
		flags, body, ok, err := r.Next()
		if err != nil {
			return frames, err
		}
		if ok {
			frames = append(frames, plainFrame{flags, bytes.Clone(body)})
			continue
		}
		if err := r.Fill(); err != nil {
			return frames, err
		}
	}
}

func TestCurveCapturedServer(t *testing.T) {
	for i, of := range captures {
		for _, pieces := range []int{1, 7, 1 << 20} {
			t.Run(fmt.Sprint(of.prefix, "/", pieces), func(t *testing.T) {
				c := readCapture(t, i)
				p := play(c.server, nil, c.fromClient, pieces)
				if p.err != nil {
					t.Fatal(p.err)
				}
				if !bytes.Equal(p.wrote[greetingSize:], c.fromServer[greetingSize:]) {
					t.Errorf("wrote\n%x, libzmq\n%x", p.wrote, c.fromServer)
				}
				if p.remote.Key != c.client.Keys.Public || len(p.remote.Identity) != 17 || p.remote.Identity[0] != 1 || p.remote.Minor != 1 {
					t.Errorf("remote: %+v", p.remote)
				}
				if p.ended != io.EOF || len(p.frames) == 0 || !bytes.HasPrefix(p.frames[0].body, []byte{0xAA, 0xA1, 1, 2}) {
					t.Errorf("frames %x, then %v", p.frames, p.ended)
				}
			})
		}
	}
}

// The client takes its identity and its frames from what the server, in the
// test before, made of the capture.
func TestCurveCapturedClient(t *testing.T) {
	for i, of := range captures {
		for _, pieces := range []int{1, 7, 1 << 20} {
			t.Run(fmt.Sprint(of.prefix, "/", pieces), func(t *testing.T) {
				c := readCapture(t, i)
				at := play(c.server, nil, c.fromClient, 1<<20)
				p := play(c.client, at.remote.Identity, c.fromServer, pieces)
				if p.err != nil || p.ended != io.EOF || len(p.frames) != 0 {
					t.Fatalf("%v; %d frames, then %v", p.err, len(p.frames), p.ended)
				}
				if p.remote.Key != c.server.Keys.Public || len(p.remote.Identity) != 0 {
					t.Errorf("remote: %+v", p.remote)
				}
				for _, f := range at.frames {
					p.wrote = p.remote.Sealer.Append(p.wrote, f.flags, f.body)
				}
				if !bytes.Equal(p.wrote[greetingSize:], c.fromClient[greetingSize:]) {
					t.Errorf("wrote\n%x, libzmq\n%x", p.wrote, c.fromClient)
				}
			})
		}
	}
}

// No bit of the client's commands can be changed.
func TestCurveTamperedClient(t *testing.T) {
	c := readCapture(t, 0)
	const lastOfKey = greetingSize + 2 + 6 + helloNonce - 1 // whose first bit X25519 ignores
	tampered := func(at int, bits byte) {
		in := bytes.Clone(c.fromClient)
		in[at] ^= bits
		p := play(c.server, nil, in, 1<<20)
		if p.err == nil || bytes.Contains(p.wrote, []byte("READY")) {
			t.Errorf("byte %d ^ %#x: %v, after %q", at, bits, p.err, p.wrote)
		}
	}
	for at := greetingSize; at < capturedClient; at++ {
		tampered(at, 1<<(at%8))
	}
	tampered(lastOfKey, 0x80)
}

func TestCurveTamperedServer(t *testing.T) {
	c := readCapture(t, 0)
	for at := greetingSize; at < capturedServer; at++ {
		in := bytes.Clone(c.fromServer)
		in[at] ^= 1 << (at % 8)
		p := play(c.client, nil, in, 1<<20)
		if p.err == nil {
			t.Errorf("byte %d: the handshake succeeds", at)
		}
		if at < capturedServer-67 && bytes.Contains(p.wrote, []byte("INITIATE")) {
			t.Errorf("byte %d: INITIATE goes out", at)
		}
	}
}

// Of messages that were changed on the way, those before the change come out,
// and nothing else.
func TestCurveTamperedMessages(t *testing.T) {
	c := readCapture(t, 0)
	r, _, err := Handshake(&scripted{Reader: bytes.NewReader(c.fromClient[:capturedClient])}, &Self{Socket: "ROUTER", Curve: c.server, Listener: true}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	messages := c.fromClient[capturedClient:]
	open := func(in []byte) ([]plainFrame, error) {
		o := *r.opener
		return opened(openingReader(in, 1<<20, 1000, &o))
	}
	want, err := open(bytes.Clone(messages))
	starts := frameStarts(t, messages)
	if err != io.EOF || len(want) != len(starts) {
		t.Fatalf("%d frames of %d, then %v", len(want), len(starts), err)
	}
	for at := range messages {
		intact := 0
		for intact+1 < len(starts) && starts[intact+1] <= at {
			intact++
		}
		for _, bits := range []byte{0x01, 0x02, 0x04, 0x80, 0xff} {
			if at == starts[intact] && bits == 0x80 {
				continue // a flag that has no meaning
			}
			in := bytes.Clone(messages)
			in[at] ^= bits
			got, err := open(in)
			if !sameFrames(got, want[:intact]) || err == nil {
				t.Errorf("byte %d ^ %#x: %d frames instead of %d, then %v", at, bits, len(got), intact, err)
			}
		}
	}
}

func frameStarts(t *testing.T, stream []byte) (starts []int) {
	t.Helper()
	for at := 0; at < len(stream); {
		_, header, size, ok, err := ParseHeader(stream[at:])
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		starts = append(starts, at)
		at += header + size
	}
	return starts
}

func sameFrames(a, b []plainFrame) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].flags != b[i].flags || !bytes.Equal(a[i].body, b[i].body) {
			return false
		}
	}
	return true
}

func TestCurveTruncated(t *testing.T) {
	c := readCapture(t, 0)
	for n := range capturedClient {
		if p := play(c.server, nil, c.fromClient[:n], 1<<20); p.err == nil {
			t.Errorf("the server is content with %d bytes", n)
		}
	}
	for n := range capturedServer {
		if p := play(c.client, nil, c.fromServer[:n], 1<<20); p.err == nil {
			t.Errorf("the client is content with %d bytes", n)
		}
	}
}

// Whatever comes in, nothing comes out but what the captured client sent, in
// its order: frames can be taken away, but not made, changed or repeated.
func FuzzCurveServer(f *testing.F) {
	c := readCapture(f, 0)
	sent := play(c.server, nil, c.fromClient, 1<<20)
	f.Add(c.fromClient[greetingSize:], 100)
	f.Add(c.fromClient[greetingSize:capturedClient], 1)
	f.Add(append(c.fromClient[greetingSize:len(c.fromClient):len(c.fromClient)], c.fromClient[capturedClient:]...), 9)
	f.Fuzz(func(t *testing.T, in []byte, pieces int) {
		p := play(c.server, nil, append(c.fromClient[:greetingSize:greetingSize], in...), max(1, pieces&0xfff))
		if p.err == nil && (p.remote.Key != sent.remote.Key || !bytes.Equal(p.remote.Identity, sent.remote.Identity)) {
			t.Fatalf("remote: %+v", p.remote)
		}
		rest := sent.frames
		for _, frame := range p.frames {
			for len(rest) > 0 && !sameFrames(rest[:1], []plainFrame{frame}) {
				rest = rest[1:]
			}
			if len(rest) == 0 {
				t.Fatalf("frame %x was never sent", frame)
			}
			rest = rest[1:]
		}
	})
}

func FuzzCurveClient(f *testing.F) {
	c := readCapture(f, 0)
	f.Add(c.fromServer[greetingSize:], 100)
	f.Add(append(c.fromServer[greetingSize:len(c.fromServer):len(c.fromServer)], c.fromClient[capturedClient:]...), 1)
	f.Add(AppendCommand(nil, "ERROR", []byte("\x03400")), 1)
	f.Fuzz(func(t *testing.T, in []byte, pieces int) {
		p := play(c.client, nil, append(c.fromServer[:greetingSize:greetingSize], in...), max(1, pieces&0xfff))
		if len(p.frames) > 0 || p.err == nil && p.remote.Key != c.server.Keys.Public {
			t.Fatalf("remote: %+v, frames %x", p.remote, p.frames)
		}
	})
}
