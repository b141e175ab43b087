package zmtp

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// direction returns both ends of one direction of a connection.
func direction() (*Sealer, *opener) {
	key := messageKey(testShared, fromClient)
	return &Sealer{key, 2}, &opener{key, 2}
}

var testShared = &[32]byte{1, 2, 3}

func openingReader(in []byte, pieces, limit int, o *opener) *Reader {
	r := NewReader(&slowReader{bytes.NewReader(in), pieces}, limit)
	r.opener = o
	return r
}

func TestMessages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	sizes := []int{0, 1, 30, 31, 32, 33, 221, 222, 223, 255, 256, ownFrame - messageOverhead - 1, ownFrame, maxChunk, 3 * maxAhead, 0, 5}
	for range 1000 {
		sizes = append(sizes, rnd.IntN(300))
	}
	sealer, _ := direction()
	var stream []byte
	var want [][]byte
	for i, n := range sizes {
		body := make([]byte, n)
		for j := range body {
			body[j] = byte(i + j)
		}
		want = append(want, body)
		before := len(stream)
		stream = sealer.Append(stream, 0, body)
		if len(stream)-before != sealer.Size(n) {
			t.Fatalf("a body of %d takes %d bytes, not %d", n, len(stream)-before, sealer.Size(n))
		}
	}
	for _, pieces := range []int{1, 3, 100, 1000, 1 << 20} {
		for _, keep := range []bool{false, true} {
			_, o := direction()
			got := frames(t, openingReader(stream, pieces, 1<<20, o), keep)
			mustBeEqual(t, fmt.Sprintf("reads of %d, keep %t", pieces, keep), got, want)
		}
	}
}

func TestMessageFlags(t *testing.T) {
	for flags, inner := range map[byte]byte{0: 0, More: 1, Command: 2, More | Command: 3} {
		sealer, o := direction()
		frame := sealer.Append(nil, flags, []byte("x"))
		if frame[0] != 0 {
			t.Errorf("flags %#x show as %#x outside", flags, frame[0])
		}
		got, body, err := o.open(0, frame[2:])
		if err != nil || got != flags || string(body) != "x" || frame[2+messageFlags] != inner {
			t.Errorf("flags %#x became %#x, %#x inside, %q, %v", flags, got, frame[2+messageFlags], body, err)
		}
	}
}

// A large frame tells that it has a buffer of its own, sealed or not.
func TestMessageOwn(t *testing.T) {
	for size, want := range map[int]byte{100: More, ownFrame: More | Own} {
		sealer, o := direction()
		got, err := opened(openingReader(sealer.Append(nil, More, make([]byte, size)), 1000, 1<<20, o))
		if len(got) != 1 || got[0].flags != want {
			t.Errorf("%d bytes: %v, then %v", size, got, err)
		}
	}
}

// Equal bodies must not show as such, nor in clear.
func TestMessagesDiffer(t *testing.T) {
	sealer, _ := direction()
	body := make([]byte, 100)
	a, b := sealer.Append(nil, 0, body), sealer.Append(nil, 0, body)
	if bytes.Equal(a[2+messageTag:], b[2+messageTag:]) || bytes.Contains(a, body[:16]) {
		t.Error("two frames of the same body look alike")
	}
}

func TestMessagesRefused(t *testing.T) {
	sealer, _ := direction()
	one := sealer.Append(nil, 0, []byte("one"))
	two := sealer.Append(nil, More, []byte("two"))
	three := sealer.Append(nil, 0, []byte("three"))
	reflected := (&Sealer{messageKey(testShared, fromServer), 2}).Append(nil, 0, []byte("back"))
	outer := func(flags byte) []byte {
		frame := bytes.Clone(one)
		frame[0] = flags
		return frame
	}
	named := func(name string) []byte {
		return AppendFrame(nil, 0, append([]byte(name), one[2+len(name):]...))
	}
	tests := []struct {
		name   string
		in     [][]byte
		frames int // before the error
	}{
		{"replayed", [][]byte{one, one}, 1},
		{"replayed later", [][]byte{one, two, three, two}, 3},
		{"out of order", [][]byte{two, one}, 1},
		{"not a command", [][]byte{AppendFrame(nil, 0, []byte("hello"))}, 0},
		{"in clear, long", [][]byte{AppendFrame(nil, 0, make([]byte, 300))}, 0},
		{"READY", [][]byte{ready()}, 0},
		{"PING in clear", [][]byte{AppendCommand(nil, "PING", []byte{0, 0})}, 0},
		{"empty", [][]byte{{0, 0}}, 0},
		{"without flags", [][]byte{AppendFrame(nil, 0, one[2:2+messageFlags])}, 0},
		{"other name", [][]byte{named("\x07MASSAGE")}, 0},
		{"other length of name", [][]byte{named("\x06MESSAGE")}, 0},
		{"MORE outside", [][]byte{outer(More)}, 0},
		{"COMMAND outside", [][]byte{outer(Command)}, 0},
		{"of the other direction", [][]byte{reflected}, 0},
	}
	for _, tt := range tests {
		_, o := direction()
		got, err := opened(openingReader(bytes.Join(tt.in, nil), 1<<20, 1000, o))
		if !errors.Is(err, ErrProtocol) || len(got) != tt.frames {
			t.Errorf("%s: %d frames, then %v", tt.name, len(got), err)
		}
	}
	_, o := direction()
	if got, _ := opened(openingReader(bytes.Join([][]byte{one, three}, nil), 1<<20, 1000, o)); len(got) != 2 {
		t.Error("a gap in the nonces is refused")
	}
}

// A frame that does not open must not count: its nonce is anybody's.
func TestForgedNonce(t *testing.T) {
	sealer, o := direction()
	frame := sealer.Append(nil, 0, []byte("one"))
	forged := bytes.Clone(frame[2:])
	forged[messageNonce] = 0xff
	if _, _, err := o.open(0, forged); err == nil {
		t.Fatal("a forged nonce is accepted")
	}
	if _, _, err := o.open(0, frame[2:]); err != nil {
		t.Fatal(err)
	}
}

func TestOpenLeavesForgeriesAlone(t *testing.T) {
	sealer, o := direction()
	frame := sealer.Append(nil, 0, bytes.Repeat([]byte("secret"), 50))[MaxHeader:]
	frame[len(frame)-1] ^= 1
	before := bytes.Clone(frame)
	if _, _, err := o.open(0, frame); err == nil || !bytes.Equal(frame, before) {
		t.Fatalf("%v; something was decrypted", err)
	}
}

func TestMessageLimit(t *testing.T) {
	for _, tt := range []struct {
		limit, size int
		refused     bool
	}{{100, 100, false}, {100, 101, true}, {0, 0, false}, {0, 1, true}, {math.MaxInt, 5000, false}} {
		sealer, o := direction()
		got, err := opened(openingReader(sealer.Append(nil, 0, make([]byte, tt.size)), 1<<20, tt.limit, o))
		if errors.Is(err, ErrTooLarge) != tt.refused || (len(got) == 0) != tt.refused {
			t.Errorf("%d bytes with limit %d: %d frames, %v", tt.size, tt.limit, len(got), err)
		}
	}
}

func TestMessagesDoNotAllocate(t *testing.T) {
	body := make([]byte, 1000)
	sealer, o := direction()
	buf := make([]byte, 0, sealer.Size(len(body)))
	allocs := testing.AllocsPerRun(1000, func() {
		buf = sealer.Append(buf[:0], 0, body)
		if _, _, err := o.open(0, buf[MaxHeader:]); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations a frame", allocs)
	}
}

// The key stream runs over the bytes before the box too, but not over those
// before the frame.
func TestAppendKeepsWhatIsThere(t *testing.T) {
	a, _ := direction()
	b, _ := direction()
	alone := a.Append(nil, 0, []byte("body"))
	if got := b.Append([]byte("before"), 0, []byte("body")); string(got) != "before"+string(alone) {
		t.Errorf("%x instead of %x behind other bytes", got, alone)
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{16, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			sealer, _ := direction()
			body := make([]byte, size)
			buf := make([]byte, 0, sealer.Size(size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				sealer.Append(buf, 0, body)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, size := range []int{16, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			sealer, o := direction()
			frame := sealer.Append(nil, 0, make([]byte, size))
			message := frame[len(frame)-size-messageOverhead:]
			work := make([]byte, len(message))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				copy(work, message)
				o.last = 0
				if _, _, err := o.open(0, work); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
