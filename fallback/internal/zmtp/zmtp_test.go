package zmtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
)

// pipe returns two ends of a TCP connection on loopback.
func pipe(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { c.Close() })
	}
	return a, b
}

func TestHandshake(t *testing.T) {
	a, b := pipe(t)
	identity := append([]byte{1}, make([]byte, 16)...)
	type result struct {
		remote Remote
		err    error
	}
	dealer := make(chan result, 1)
	go func() {
		_, remote, err := Handshake(a, &Self{Socket: "DEALER", Identity: identity}, 1000)
		dealer <- result{remote, err}
	}()
	_, remote, err := Handshake(b, &Self{Socket: "ROUTER", Property: "X-Test", Listener: true}, 1000)
	if err != nil || !bytes.Equal(remote.Identity, identity) || remote.Minor != 1 {
		t.Fatalf("router: %+v, %v", remote, err)
	}
	if d := <-dealer; d.err != nil || len(d.remote.Identity) != 0 || d.remote.Properties != "X-Test " {
		t.Fatalf("dealer: %+v, %v", d.remote, d.err)
	}
}

// greetingOf is a greeting with one byte changed.
func greetingOf(at int, b byte) []byte {
	g := appendGreeting(nil, mechanismNull)
	g[at] = b
	return g
}

func ready(props ...string) []byte {
	var m []byte
	for i := 0; i < len(props); i += 2 {
		m = appendProperty(m, props[i], []byte(props[i+1]))
	}
	return AppendCommand(nil, "READY", m)
}

type scripted struct {
	io.Reader
	wrote bytes.Buffer
}

func (s *scripted) Write(b []byte) (int, error) { return s.wrote.Write(b) }

func TestHandshakeOfOthers(t *testing.T) {
	good := greetingOf(11, 1)
	curve := appendGreeting(nil, "CURVE")
	tests := []struct {
		name string
		in   []byte
		fail bool
	}{
		{"3.1", append(bytes.Clone(good), ready("Socket-Type", "DEALER", "Identity", "x")...), false},
		{"3.0", append(greetingOf(11, 0), ready("Socket-Type", "DEALER")...), false},
		{"4.0", append(greetingOf(10, 4), ready("Socket-Type", "DEALER")...), false},
		{"as-server set", append(greetingOf(32, 1), ready("Socket-Type", "DEALER")...), false},
		{"lower case", append(bytes.Clone(good), ready("socket-type", "DEALER", "identity", "x")...), false},
		{"no properties", append(bytes.Clone(good), ready()...), false},
		{"unknown property", append(bytes.Clone(good), ready("X-Y", "z")...), false},
		{"2.0", append(greetingOf(10, 1), ready("Socket-Type", "DEALER")...), true},
		{"1.0", []byte("\x01\x00"), true},
		{"http", []byte("GET / HTTP/1.1\r\n\r\n"), true},
		{"curve", append(curve, ready("Socket-Type", "DEALER")...), true},
		{"signature", append(greetingOf(9, 0x7e), ready("Socket-Type", "DEALER")...), true},
		{"socket type", append(bytes.Clone(good), ready("Socket-Type", "PUB")...), true},
		{"error", append(bytes.Clone(good), AppendCommand(nil, "ERROR", []byte("\x03400"))...), true},
		{"other command", append(bytes.Clone(good), AppendCommand(nil, "HELLO", nil)...), true},
		{"trailing byte", append(bytes.Clone(good), AppendCommand(nil, "READY", []byte{0})...), true},
		{"property cut", append(bytes.Clone(good), AppendCommand(nil, "READY", []byte("\x01A\x00\x00\x00\x05abc"))...), true},
		{"property huge", append(bytes.Clone(good), AppendCommand(nil, "READY", []byte("\x01A\xff\xff\xff\xff"))...), true},
		{"identity long", append(bytes.Clone(good), ready("Identity", strings.Repeat("x", 256))...), true},
		{"frame 2^62", append(bytes.Clone(good), 0x06, 0x40, 0, 0, 0, 0, 0, 0, 0), true},
		{"frame 2^64", append(bytes.Clone(good), 0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), true},
		{"READY with MORE", append(bytes.Clone(good), 0x05, 6, 5, 'R', 'E', 'A', 'D', 'Y'), true},
		{"empty command", append(bytes.Clone(good), 0x04, 0), true},
		{"silence", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 7, 1 << 20} { // byte by byte, in pieces, at once
				in := &scripted{Reader: &slowReader{bytes.NewReader(tt.in), size}}
				if _, _, err := Handshake(in, &Self{Socket: "ROUTER"}, 1000); (err != nil) != tt.fail {
					t.Errorf("in pieces of %d: %v", size, err)
				}
			}
		})
	}
}

type slowReader struct {
	r    io.Reader
	most int
}

func (s *slowReader) Read(b []byte) (int, error) { return s.r.Read(b[:min(len(b), s.most)]) }

// frames reads all frames; keep tells whether they are used for good.
func frames(t *testing.T, r *Reader, keep bool) (all [][]byte) {
	t.Helper()
	for {
		_, body, ok, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			if keep {
				r.Keep()
			} else {
				body = bytes.Clone(body)
			}
			all = append(all, body)
			continue
		}
		if err := r.Fill(); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestReader(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 255, 256, ownFrame - 1, ownFrame, maxChunk, 3 * maxAhead, 0, 5}
	for range 2000 {
		sizes = append(sizes, rnd.IntN(300))
	}
	var stream []byte
	var want [][]byte
	for i, n := range sizes {
		body := make([]byte, n)
		for j := range body {
			body[j] = byte(i + j)
		}
		want = append(want, body)
		stream = AppendFrame(stream, 0, body)
	}
	for _, most := range []int{1, 3, 100, 1000, 1 << 20} {
		for _, keep := range []bool{false, true} {
			r := NewReader(&slowReader{bytes.NewReader(stream), most}, 1<<20)
			got := frames(t, r, keep)
			mustBeEqual(t, fmt.Sprintf("reads of %d, keep %t", most, keep), got, want)
		}
	}
}

func mustBeEqual(t *testing.T, what string, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d frames of %d", what, len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("%s: frame %d differs", what, i)
		}
	}
}

func TestReaderFramesAreSeparate(t *testing.T) {
	stream := AppendFrame(AppendFrame(nil, 0, []byte("one")), 0, []byte("two"))
	r := NewReader(bytes.NewReader(stream), 100)
	all := frames(t, r, true)
	_ = append(all[0], "overwritten"...)
	if string(all[1]) != "two" {
		t.Fatalf("appending to a frame changed the next to %q", all[1])
	}
}

func TestReaderLimit(t *testing.T) {
	for _, size := range []uint64{101, 1 << 20, 1 << 40, 1 << 62, 1<<63 + 1, 1<<64 - 1} {
		head := binary.BigEndian.AppendUint64([]byte{long}, size)
		r := NewReader(bytes.NewReader(head), 100)
		r.Fill()
		if _, _, _, err := r.Next(); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a frame of %d bytes: %v", size, err)
		}
	}
}

// A frame that is announced and does not come must not cost its size.
func TestReaderAllocatesWhatArrives(t *testing.T) {
	for _, thrift := range []int{0, 16 << 10} {
		head := binary.BigEndian.AppendUint64([]byte{long}, 1<<30)
		r := NewReader(bytes.NewReader(append(head, make([]byte, 1000)...)), 1<<30)
		r.SetThrift(thrift)
		for r.Fill() == nil {
			if _, _, ok, err := r.Next(); ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		most := maxAhead + maxChunk
		if thrift > 0 {
			most = thrift + 4*minChunk
		}
		if held := r.Held(); held > most {
			t.Errorf("holds %d bytes after 1000 have arrived, with a thrift of %d", held, thrift)
		}
	}
}

// An idle connection, of which now and then a small message is read, must not
// take a new buffer each time.
func TestReaderReusesBuffer(t *testing.T) {
	ping := AppendFrame(nil, 0, []byte("PING"))
	r := NewReader(&repeat{ping}, 100)
	allocs := testing.AllocsPerRun(1000, func() {
		r.Fill()
		if _, _, ok, _ := r.Next(); !ok {
			t.Fatal("no frame")
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations a message", allocs)
	}
}

type repeat struct{ b []byte }

func (r *repeat) Read(b []byte) (int, error) { return copy(b, r.b), nil }

func TestPong(t *testing.T) {
	ping := func(data string) []byte { return AppendCommand(nil, "PING", []byte(data))[2:] }
	tests := []struct {
		in   []byte
		want string
		err  bool
	}{
		{ping("\x00\x00"), "\x04\x05\x04PONG", false},
		{ping("\x00\x00abc"), "\x04\x08\x04PONGabc", false},
		{ping("\x00\x00" + strings.Repeat("x", 20)), "\x04\x15\x04PONG" + strings.Repeat("x", 16), false},
		{ping("\x00"), "", true},
		{AppendCommand(nil, "OTHER", nil)[2:], "", false},
		{nil, "", true},
		{[]byte{9, 'P'}, "", true},
	}
	for _, tt := range tests {
		got, err := Pong(tt.in)
		if string(got) != tt.want || (err != nil) != tt.err {
			t.Errorf("Pong(%q) = %q, %v", tt.in, got, err)
		}
	}
}

// proportional fails when more was written than was read.
type proportional struct {
	t           *testing.T
	in          io.Reader
	read, wrote int
	writes      int
}

func (p *proportional) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	p.read += n
	return n, err
}

func (p *proportional) Write(b []byte) (int, error) {
	p.wrote += len(b)
	p.writes++
	if p.wrote > p.read {
		p.t.Errorf("%d bytes for %d", p.wrote, p.read)
	}
	return len(b), nil
}

// A listener never says more than it was told, at no byte of the handshake,
// and who says all at once has his answer at once.
func TestListenerIsNoAmplifier(t *testing.T) {
	node := &Self{Socket: "ROUTER", Property: "X-Test12", Listener: true}
	whole := append(appendGreeting(nil, mechanismNull), ready("Socket-Type", "DEALER", "Identity", string(make([]byte, 17)))...)
	for size := range whole {
		in := &proportional{t: t, in: &slowReader{bytes.NewReader(whole), size + 1}}
		if _, _, err := Handshake(in, node, 1000); err != nil || in.wrote < greetingSize+50 {
			t.Fatalf("in pieces of %d: %d bytes, %v", size+1, in.wrote, err)
		}
	}
	at := &proportional{t: t, in: bytes.NewReader(whole)}
	if r, _, err := Handshake(at, node, 1000); err != nil || at.writes != 1 || r.Held() != minChunk {
		t.Errorf("%d writes, %v", at.writes, err)
	}
	// libzmq says ten bytes, then eleven, then its greeting.
	for told, want := range map[int]int{0: 0, 9: 9, 10: 10, 11: 11, 64: 64, 70: 70} {
		in := &proportional{t: t, in: bytes.NewReader(whole[:told])}
		if _, _, err := Handshake(in, node, 1000); err == nil || in.wrote != want {
			t.Errorf("for %d bytes: %d, %v", told, in.wrote, err)
		}
	}
}

func TestCurveListenerIsNoAmplifier(t *testing.T) {
	c := readCapture(t, 0)
	for size := range capturedClient {
		c.server.random.(*again).at = 0
		in := &proportional{t: t, in: &slowReader{bytes.NewReader(c.fromClient), size + 1}}
		if _, _, err := Handshake(in, &Self{Socket: "ROUTER", Property: "X-Test12", Curve: c.server, Listener: true}, 1000); err != nil || in.wrote != greetingSize+170+80 {
			t.Fatalf("in pieces of %d: %d bytes for %d, %v", size+1, in.wrote, in.read, err)
		}
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add(append(appendGreeting(nil, mechanismNull), ready("Socket-Type", "DEALER", "Identity", "abc")...), 3)
	f.Fuzz(func(t *testing.T, in []byte, most int) {
		rw := &proportional{t: t, in: &slowReader{bytes.NewReader(in), max(1, most&0xff)}}
		r, remote, err := Handshake(rw, &Self{Socket: "ROUTER", Listener: true}, 1000)
		if err == nil && (r == nil || len(remote.Identity) > 255) {
			t.Fatal(r, remote)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(AppendFrame(AppendFrame(nil, More, []byte("one")), Command, make([]byte, 300)), 5, true)
	f.Fuzz(func(t *testing.T, in []byte, most int, keep bool) {
		r := NewReader(&slowReader{bytes.NewReader(in), max(1, most&0xffff)}, 1<<16)
		total := 0
		for {
			_, body, ok, err := r.Next()
			if err != nil {
				return
			}
			if ok {
				total += len(body)
				if keep {
					r.Keep()
				}
			} else if r.Fill() != nil {
				break
			}
		}
		if total > len(in) {
			t.Fatalf("%d bytes out of %d", total, len(in))
		}
	})
}

func BenchmarkReader(b *testing.B) {
	one := AppendFrame(AppendFrame(nil, More, make([]byte, 6)), 0, make([]byte, 16))
	r := NewReader(&repeat{bytes.Repeat(one, 2000)}, 1000)
	b.ReportAllocs()
	for n := 0; n < b.N; {
		_, _, ok, err := r.Next()
		switch {
		case err != nil:
			b.Fatal(err)
		case ok:
			n++
			r.Keep()
		default:
			r.Fill()
		}
	}
}
