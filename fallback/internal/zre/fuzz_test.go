package zre

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gozyre/zyre/internal/rule"
)

func addFrames(f *testing.F) {
	full := fullHello()
	for _, frame := range append(firstFrames(f), AppendHello(nil, 1, &full)) {
		f.Add(frame)
		f.Add(frame[:len(frame)-1])
	}
}

func FuzzParse(f *testing.F) {
	addFrames(f)
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := Parse(frame)
		if seq, ok := Whisper(frame); ok && (err != nil || m.Kind != KindWhisper || m.Seq != seq) {
			t.Fatalf("a WHISPER with number %d for one, %+v, %v for the other", seq, m, err)
		}
		if err != nil {
			if !reflect.DeepEqual(m, Message{}) {
				t.Fatalf("%+v beside %v", m, err)
			}
			return
		}
		if _, ok := Whisper(frame); !ok && m.Kind == KindWhisper && len(frame) == HeaderSize {
			t.Fatal("a WHISPER that is not taken for one")
		}
		back := encode(m)
		if m.Kind != KindHello && !strings.HasPrefix(string(frame), string(back)) {
			t.Fatalf("%+v encodes to % x", m, back)
		}
		if again, err := Parse(back); err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v, %v, want %+v", again, err, m)
		}
	})
}

func FuzzParseHello(f *testing.F) {
	addFrames(f)
	f.Add(helloFrame(u32(1<<32-1), u32(1<<32-1)))
	f.Add(helloFrame(groupList("a", "a"), headerList("k", "v", "k", "w")))
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, err := ParseHello(frame)
		if err != nil {
			if !reflect.DeepEqual(h, Hello{}) {
				t.Fatalf("%+v beside %v", h, err)
			}
			return
		}
		if m, err := Parse(frame); err != nil || m.Kind != KindHello {
			t.Fatalf("Parse: %+v, %v", m, err)
		}
		checkLimits(t, h)
		back := AppendHello(nil, 1, &h)
		if len(back) != HelloSize(&h) {
			t.Fatalf("%d bytes, HelloSize says %d", len(back), HelloSize(&h))
		}
		if len(back) > len(frame) {
			t.Fatalf("%d bytes from a frame of %d", len(back), len(frame))
		}
		if again, err := ParseHello(back); err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("%+v, %v, want %+v", again, err, h)
		}
	})
}

// checkLimits holds what is accepted against what a node itself may send.
func checkLimits(t *testing.T, h Hello) {
	t.Helper()
	if err := rule.Name(h.Name); err != nil {
		t.Fatal(err)
	}
	if h.Endpoint != "" {
		if err := rule.Endpoint(h.Endpoint); err != nil {
			t.Fatal(err)
		}
	}
	for _, group := range h.Groups {
		if err := rule.Group(group); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range h.Headers {
		if err := rule.Header(name, value); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.Groups) > MaxGroups || len(h.Headers) > rule.MaxHeaders {
		t.Fatalf("%d groups, %d headers", len(h.Groups), len(h.Headers))
	}
}

func FuzzParseBeacon(f *testing.F) {
	for _, r := range readCapture(f, "beacons.hex") {
		f.Add(r.data)
	}
	f.Add(beaconOf(1, BeaconKeySize))
	f.Add(beaconOf(3, BeaconSize))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		b, ok := ParseBeacon(datagram)
		if !ok {
			if b != (Beacon{}) {
				t.Fatalf("%+v, refused", b)
			}
			return
		}
		back := b.Append(nil)
		if !strings.HasPrefix(string(datagram), string(back)) {
			t.Fatalf("%+v encodes to % x", b, back)
		}
		if again, ok := ParseBeacon(back); !ok || again != b {
			t.Fatalf("%+v, %v, want %+v", again, ok, b)
		}
	})
}
