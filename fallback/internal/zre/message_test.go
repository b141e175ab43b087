package zre

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestKindString(t *testing.T) {
	for kind, want := range map[Kind]string{
		0: "Kind(0)", KindHello: "HELLO", KindWhisper: "WHISPER", KindShout: "SHOUT",
		KindJoin: "JOIN", KindLeave: "LEAVE", KindPing: "PING", KindPingOK: "PING-OK",
		KindElect: "ELECT", KindLeader: "LEADER", KindGoodbye: "GOODBYE", 11: "Kind(11)",
	} {
		if got := kind.String(); got != want {
			t.Errorf("Kind %d: %q, want %q", uint8(kind), got, want)
		}
	}
}

func TestParseAcceptsEdges(t *testing.T) {
	longest := strings.Repeat("g", 255)
	for name, want := range map[string]Message{
		"longest group":     {Kind: KindShout, Seq: 1, Group: []byte(longest)},
		"shortest group":    {Kind: KindJoin, Group: []byte("g"), Status: 255},
		"last sequence":     {Kind: KindPing, Seq: 65535},
		"sequence wrapped":  {Kind: KindGoodbye, Seq: 0},
		"bytes not UTF-8":   {Kind: KindLeave, Seq: 2, Group: []byte("\xff\xfe\x01\x7f")},
		"id in lower case":  {Kind: KindElect, Seq: 3, Group: []byte("g"), ID: []byte(strings.ToLower(aliceID))},
		"longest vote":      {Kind: KindLeader, Seq: 4, Group: []byte(longest), ID: []byte(aliceID)},
		"status wrapped":    {Kind: KindLeave, Seq: 5, Group: []byte("g"), Status: 0},
		"NUL is not needed": {Kind: KindWhisper, Seq: 0x0101},
	} {
		got, err := Parse(encode(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestParseIgnoresTrailingBytes(t *testing.T) {
	for _, frame := range firstFrames(t) {
		want, err := Parse(frame)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(append(bytes.Clone(frame), 0, 1, 2, 0xFF))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %+v, %v, want %+v", want.Kind, got, err, want)
		}
	}
}

// The rows are those of the list of hostile input that libzyre was fed.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name, frame string
		want        error
	}{
		{"no bytes", "", ErrMalformed},
		{"one byte", "aa", ErrMalformed},
		{"cut before the sequence", "aaa1 06 02", ErrMalformed},
		{"cut inside the sequence", "aaa1 06 02 00", ErrMalformed},
		{"SHOUT without group", "aaa1 03 02 0005", ErrMalformed},
		{"SHOUT cut inside its group", "aaa1 03 02 0005 04 434841", ErrMalformed},
		{"SHOUT to the empty group", "aaa1 03 02 0005 00", ErrMalformed},
		{"JOIN without fields", "aaa1 04 02 0002", ErrMalformed},
		{"JOIN without status", "aaa1 04 02 0002 01 47", ErrMalformed},
		{"JOIN of the empty group", "aaa1 04 02 0002 00 02", ErrMalformed},
		{"LEAVE without status", "aaa1 05 02 0002 01 47", ErrMalformed},
		{"LEAVE of the empty group", "aaa1 05 02 0002 00 02", ErrMalformed},
		{"group with NUL", "aaa1 04 02 0002 03 470047 02", ErrMalformed},
		{"group that is NUL", "aaa1 03 02 0002 01 00", ErrMalformed},
		{"group that ends in NUL", "aaa1 05 02 0002 02 4700 02", ErrMalformed},
		{"length above the frame", "aaa1 03 02 0002 ff 47", ErrMalformed},
		{"ELECT without id", "aaa1 08 02 0002 01 47", ErrMalformed},
		{"ELECT with an empty id", "aaa1 08 02 0002 01 47 00", ErrMalformed},
		{"ELECT in the empty group", "aaa1 08 02 0002 00 20" + strings.Repeat("41", 32), ErrMalformed},
		{"ELECT with 31 digits", "aaa1 08 02 0002 01 47 1f" + strings.Repeat("41", 31), ErrMalformed},
		{"LEADER with 33 digits", "aaa1 09 02 0002 01 47 21" + strings.Repeat("41", 33), ErrMalformed},
		{"LEADER with a digit G", "aaa1 09 02 0002 01 47 20" + strings.Repeat("41", 31) + "47", ErrMalformed},
		{"LEADER with a digit @", "aaa1 09 02 0002 01 47 20" + strings.Repeat("41", 31) + "40", ErrMalformed},
		{"LEADER with a dash", "aaa1 09 02 0002 01 47 20 2d" + strings.Repeat("41", 31), ErrMalformed},
		{"first byte of the signature", "ab a1 06 02 0002", ErrForeign},
		{"second byte of the signature", "aa a0 06 02 0002", ErrForeign},
		{"version 1", "aaa1 06 01 0002", ErrForeign},
		{"version 3", "aaa1 06 03 0002", ErrForeign},
		{"version before kind, as RFC 36 tells in prose", "aaa1 02 06 0002", ErrForeign},
		{"kind 0", "aaa1 00 02 0002", ErrForeign},
		{"kind 11", "aaa1 0b 02 0002", ErrForeign},
		{"kind 255", "aaa1 ff 02 0002", ErrForeign},
	} {
		m, err := Parse(unhex(t, c.frame))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
		if !reflect.DeepEqual(m, Message{}) {
			t.Errorf("%s: %+v beside an error", c.name, m)
		}
	}
}

func TestParseRefusesEveryTruncation(t *testing.T) {
	for _, frame := range firstFrames(t) {
		m, err := Parse(frame)
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind == KindHello {
			frame = frame[:HeaderSize] // the rest is for ParseHello
		}
		for n := range frame {
			if m, err := Parse(frame[:n:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%v cut to %d of %d bytes: %+v, %v", m.Kind, n, len(frame), m, err)
			}
		}
	}
}

func TestParseAliasesTheFrameWithoutSpareCapacity(t *testing.T) {
	frame := AppendVote(nil, KindElect, 1, "GROUP", aliceID)
	m, err := Parse(frame)
	if err != nil {
		t.Fatal(err)
	}
	if &m.Group[0] != &frame[HeaderSize+1] || &m.ID[0] != &frame[len(frame)-32] {
		t.Error("fields are copies")
	}
	if cap(m.Group) != len(m.Group) || cap(m.ID) != len(m.ID) {
		t.Errorf("capacity %d and %d: an append would write into the frame", cap(m.Group), cap(m.ID))
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	dst := []byte("before")
	dst = AppendMember(dst, KindJoin, 0x0203, "G", 9)
	if want := "before\xaa\xa1\x04\x02\x02\x03\x01G\x09"; string(dst) != want {
		t.Errorf("% x, want % x", dst, want)
	}
}

// A sender encodes a SHOUT once and writes each peer's number over the last.
func TestSeqOffset(t *testing.T) {
	frame := AppendGroup(nil, KindShout, 1, "CHAT")
	binary.BigEndian.PutUint16(frame[SeqOffset:], 0xABCD)
	if want := AppendGroup(nil, KindShout, 0xABCD, "CHAT"); !bytes.Equal(frame, want) {
		t.Errorf("% x, want % x", frame, want)
	}
}

func TestAppendCutsWhatHasNoLength(t *testing.T) {
	m, err := Parse(AppendMember(nil, KindJoin, 1, strings.Repeat("g", 256+3), 7))
	if err != nil || len(m.Group) != 255 || m.Status != 7 {
		t.Errorf("group of %d bytes, status %d, %v; want 255, 7", len(m.Group), m.Status, err)
	}
}

func TestMessagesDoNotAllocate(t *testing.T) {
	frames := firstFrames(t)
	buf := make([]byte, 0, 512)
	for name, f := range map[string]func(){
		"Parse": func() {
			for _, frame := range frames {
				if _, err := Parse(frame); err != nil {
					t.Error(err)
				}
			}
		},
		"Parse of bad frames": func() {
			for _, frame := range frames {
				if _, err := Parse(frame[:HeaderSize-1]); err == nil {
					t.Error("no error")
				}
			}
		},
		"AppendSimple": func() { AppendSimple(buf, KindPing, 1) },
		"AppendGroup":  func() { AppendGroup(buf, KindShout, 1, "CHAT") },
		"AppendMember": func() { AppendMember(buf, KindJoin, 1, "CHAT", 1) },
		"AppendVote":   func() { AppendVote(buf, KindElect, 1, "CHAT", aliceID) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
