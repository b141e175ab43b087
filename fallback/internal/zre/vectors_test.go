package zre

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const (
	aliceID = "4FA35F0B703C49BEB837EB49641B11FE"
	bobID   = "BF16C2EC86924E71A26A17E7FF1D3BD0"
)

// captured is one ZMTP message: its first frame decoded, the others as text.
type captured struct {
	Message
	content []string
}

// zreCaptures says what libzyre sent in each capture of a ZRE connection.
var zreCaptures = []struct {
	file     string
	hello    Hello
	messages []captured // after the HELLO
}{
	{
		file: "null_alice_to_bob.hex",
		hello: Hello{
			Endpoint: "tcp://10.77.2.1:49152", Groups: []string{"CHAT"}, Status: 1,
			Name: "alice", Headers: map[string]string{"X-ROLE": "demo"},
		},
		messages: []captured{
			{Message: Message{Kind: KindJoin, Seq: 2, Group: []byte("LOBBY"), Status: 2}},
			{Message{Kind: KindWhisper, Seq: 3}, []string{"hello", "world"}},
			{Message{Kind: KindWhisper, Seq: 4}, []string{"", strings.Repeat("0123456789", 30)}},
			{Message{Kind: KindShout, Seq: 5, Group: []byte("CHAT")}, []string{"part1", "part2"}},
			{Message: Message{Kind: KindLeave, Seq: 6, Group: []byte("LOBBY"), Status: 3}},
			{Message: Message{Kind: KindPing, Seq: 7}},
			{Message: Message{Kind: KindPing, Seq: 8}},
		},
	},
	{
		file:  "null_bob_to_alice.hex",
		hello: Hello{Endpoint: "tcp://10.77.2.1:49153", Groups: []string{"CHAT"}, Status: 1, Name: "bob"},
		messages: []captured{
			{Message: Message{Kind: KindPingOK, Seq: 2}},
			{Message{Kind: KindShout, Seq: 3, Group: []byte("CHAT")}, []string{"yo"}},
			{Message: Message{Kind: KindPingOK, Seq: 4}},
		},
	},
	{
		file:  "election_alice_to_bob.hex",
		hello: Hello{Endpoint: "tcp://10.77.2.1:49152", Groups: []string{"G"}, Status: 1, Name: "alice"},
		messages: []captured{
			{Message: Message{Kind: KindElect, Seq: 2, Group: []byte("G"), ID: []byte(aliceID)}},
			{Message: Message{Kind: KindLeader, Seq: 3, Group: []byte("G"), ID: []byte(aliceID)}},
			{Message: Message{Kind: KindLeave, Seq: 4, Group: []byte("G"), Status: 2}},
		},
	},
	{
		file:  "election_bob_to_alice.hex",
		hello: Hello{Endpoint: "tcp://10.77.2.1:49153", Groups: []string{"G"}, Status: 1, Name: "bob"},
		messages: []captured{
			{Message: Message{Kind: KindElect, Seq: 2, Group: []byte("G"), ID: []byte(bobID)}},
			{Message: Message{Kind: KindElect, Seq: 3, Group: []byte("G"), ID: []byte(aliceID)}},
			{Message: Message{Kind: KindLeader, Seq: 4, Group: []byte("G"), ID: []byte(aliceID)}},
		},
	},
	{
		file:  "gossip_zre_n3_to_n2_goodbye.hex",
		hello: Hello{Endpoint: "tcp://10.77.2.1:6003", Groups: []string{"CHAT"}, Status: 1, Name: "n3"},
		messages: []captured{
			{Message: Message{Kind: KindGoodbye, Seq: 2}},
		},
	},
}

func TestCapturesDecodeAndEncodeBack(t *testing.T) {
	for _, c := range zreCaptures {
		t.Run(c.file, func(t *testing.T) {
			got := messages(t, stream(t, c.file, "C"))
			if len(got) != 1+len(c.messages) {
				t.Fatalf("%d messages, want %d", len(got), 1+len(c.messages))
			}
			checkHello(t, got[0], c.hello)
			for i, want := range c.messages {
				checkMessage(t, got[1+i], want)
			}
			if reverse := messages(t, stream(t, c.file, "S")); len(reverse) != 0 {
				t.Errorf("the listening side sent %d messages, want none", len(reverse))
			}
		})
	}
}

func checkHello(t *testing.T, frames [][]byte, want Hello) {
	t.Helper()
	if len(frames) != 1 {
		t.Fatalf("HELLO has %d frames", len(frames))
	}
	m, err := Parse(frames[0])
	if err != nil || !reflect.DeepEqual(m, Message{Kind: KindHello, Seq: 1}) {
		t.Errorf("Parse: %+v, %v, want HELLO 1 alone", m, err)
	}
	h, err := ParseHello(frames[0])
	if err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("ParseHello: %+v, %v, want %+v", h, err, want)
	}
	if back := AppendHello(nil, 1, &h); !bytes.Equal(back, frames[0]) {
		t.Errorf("AppendHello: % x, want % x", back, frames[0])
	}
}

func checkMessage(t *testing.T, frames [][]byte, want captured) {
	t.Helper()
	m, err := Parse(frames[0])
	if err != nil || !reflect.DeepEqual(m, want.Message) {
		t.Errorf("Parse: %+v, %v, want %+v", m, err, want.Message)
	}
	if back := encode(m); !bytes.Equal(back, frames[0]) {
		t.Errorf("encoded %v: % x, want % x", m.Kind, back, frames[0])
	}
	var content []string
	for _, frame := range frames[1:] {
		content = append(content, string(frame))
	}
	if !slices.Equal(content, want.content) {
		t.Errorf("content of %v %d: %q, want %q", m.Kind, m.Seq, content, want.content)
	}
}

// encode is Parse backwards, for every kind but HELLO.
func encode(m Message) []byte {
	switch m.Kind {
	case KindShout:
		return AppendGroup(nil, m.Kind, m.Seq, string(m.Group))
	case KindJoin, KindLeave:
		return AppendMember(nil, m.Kind, m.Seq, string(m.Group), m.Status)
	case KindElect, KindLeader:
		return AppendVote(nil, m.Kind, m.Seq, string(m.Group), string(m.ID))
	default:
		return AppendSimple(nil, m.Kind, m.Seq)
	}
}

// foreignCaptures are streams of other protocols, and how many of their
// messages are long enough to tell that: a gossip HELLO or PING is not.
var foreignCaptures = []struct {
	file, side string
	messages   int
}{
	{"gossip_n2_to_hub.hex", "C", 3},
	{"gossip_n2_to_hub.hex", "S", 3},
	{"gossip_n3_to_hub.hex", "C", 3},
	{"gossip_n3_to_hub.hex", "S", 3},
	{"gossip_ping_invalid.hex", "C", 2},
	{"gossip_ping_invalid.hex", "S", 2},
	{"curve_alice_to_bob.hex", "C", 6},
	{"curve_alice_to_bob.hex", "S", 0},
	{"curve_bob_to_alice.hex", "C", 1},
	{"curve_bob_to_alice.hex", "S", 0},
}

// What is not ZRE must be told apart, so that it is ignored and not held
// against the peer: gossip has a signature of its own, and CURVE MESSAGE
// commands look like frames to who cannot open them.
func TestOtherProtocolsAreForeign(t *testing.T) {
	for _, c := range foreignCaptures {
		foreign := 0
		for _, message := range messages(t, stream(t, c.file, c.side)) {
			want := ErrForeign
			if len(message[0]) < HeaderSize {
				want = ErrMalformed
			} else {
				foreign++
			}
			if m, err := Parse(message[0]); !errors.Is(err, want) {
				t.Errorf("%s %s: Parse(% x) = %+v, %v, want %v", c.file, c.side, message[0], m, err, want)
			}
			if h, err := ParseHello(message[0]); !errors.Is(err, want) {
				t.Errorf("%s %s: ParseHello(% x) = %+v, %v, want %v", c.file, c.side, message[0], h, err, want)
			}
		}
		if foreign != c.messages {
			t.Errorf("%s %s: %d messages, want %d", c.file, c.side, foreign, c.messages)
		}
	}
}

// No capture may be forgotten by the tests here.
func TestEveryCaptureIsUsed(t *testing.T) {
	used := map[string]bool{
		"beacons.hex":    true,
		"curve_keys.hex": true, // for tests that open the CURVE captures
	}
	for _, c := range zreCaptures {
		used[c.file] = true
	}
	for _, c := range foreignCaptures {
		used[c.file] = true
	}
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := filepath.Base(file); !used[name] {
			t.Errorf("%s is not tested", name)
		}
	}
}
