package conformance

import (
	"strings"
	"time"

	"github.com/gozyre/zyre"
)

var inputTests = []test{
	{"BadOptions", badOptions},
	{"BadArguments", badArguments},
	{"UnknownInterface", unknownInterface},
	{"UnknownPeer", unknownPeer},
}

// badOptions: New refuses what no node can use, and names the field.
func badOptions(m *mesh) {
	header := func(name, value string) Options { return Options{Headers: map[string]string{name: value}} }
	for _, tt := range []struct {
		what, field string
		name        string
		o           Options
	}{
		{"name too long", "name", strings.Repeat("n", 256), Options{}},
		{"name with NUL", "name", "a\x00b", Options{}},
		{"port too high", "port", "n", Options{Port: 70000}},
		{"port negative", "port", "n", Options{Port: -1}},
		{"peer port too high", "peer port", "n", Options{PeerPort: 70000}},
		{"interval negative", "interval", "n", Options{Interval: -time.Second}},
		{"interval too short", "interval", "n", Options{Interval: time.Microsecond}},
		{"evasive negative", "evasive", "n", Options{Evasive: -1}},
		{"silent negative", "silent", "n", Options{Silent: -1}},
		{"expired negative", "expired", "n", Options{Expired: -1}},
		{"expired before evasive", "expired", "n", Options{Evasive: time.Minute, Expired: time.Second}},
		{"silent before evasive", "silent", "n", Options{Evasive: 2 * time.Second, Silent: time.Second, Expired: time.Minute}},
		{"silent after expired", "silent", "n", Options{Evasive: time.Second, Silent: time.Hour, Expired: time.Minute}},
		{"header without name", "header", "n", header("", "v")},
		{"header name too long", "header", "n", header(strings.Repeat("h", 256), "v")},
		{"header name with NUL", "header", "n", header("a\x00b", "v")},
		{"header value with NUL", "header", "n", header("h", "a\x00b")},
		{"header value too long", "header", "n", header("h", strings.Repeat("v", 64<<10+1))},
		{"interface too long", "interface", "n", Options{Interface: strings.Repeat("i", 256)}},
		{"inbox limit too small", "inbox limit", "n", Options{InboxLimit: 1}},
		{"message limit too small", "message limit", "n", Options{MessageLimit: 1000}},
		{"message limit too large", "message limit", "n", Options{MessageLimit: zyre.DefaultMessageLimit + 1}},
		{"send limit negative", "send limit", "n", Options{SendLimit: -1}},
	} {
		n, err := m.factories[0].New(tt.name, tt.o)
		m.is(err, zyre.ErrInvalid, tt.what)
		if err != nil && !strings.Contains(err.Error(), tt.field) {
			m.Errorf("%s: the error does not name the field: %v", tt.what, err)
		}
		if err == nil {
			m.ok(n.Close(), "close")
		}
	}
}

// badArguments: the calls refuse what peers could not take.
func badArguments(m *mesh) {
	n := m.start("n", Options{})
	for what, group := range map[string]string{"empty": "", "256 bytes": strings.Repeat("g", 256), "NUL": "a\x00b"} {
		m.is(n.Join(group), zyre.ErrInvalid, "Join, group "+what)
		m.is(n.Leave(group), zyre.ErrInvalid, "Leave, group "+what)
		m.is(n.Shout(group, []byte("x")), zyre.ErrInvalid, "Shout, group "+what)
	}
	for what, msg := range map[string]struct {
		frames [][]byte
		want   error
	}{
		"no frames":       {nil, zyre.ErrEmptyMessage},
		"64 MiB and 1 B":  {[][]byte{make([]byte, 64<<20+1)}, zyre.ErrTooLarge},
		"64 MiB in two":   {[][]byte{make([]byte, 64<<20), {1}}, zyre.ErrTooLarge},
		"too many frames": {make([][]byte, 64<<10+1), zyre.ErrTooLarge},
	} {
		m.is(n.Whisper(zyre.UUID{1}, msg.frames...), msg.want, "Whisper, "+what)
		m.is(n.Shout("G", msg.frames...), msg.want, "Shout, "+what)
	}
	m.is(n.RequirePeer(zyre.UUID{}, "tcp://127.0.0.1:9", ""), zyre.ErrInvalid, "RequirePeer, no UUID")
	m.is(n.RequirePeer(zyre.UUID{1}, "", ""), zyre.ErrInvalid, "RequirePeer, no endpoint")
	if got := n.Groups(); len(got) != 0 {
		m.Errorf("a refused Join counts: %q", got)
	}
}

// unknownInterface: Start says so, and the node is as before.
func unknownInterface(m *mesh) {
	n := m.open("n", Options{Interface: "nosuch0"})
	for range 2 {
		err := n.Start(m.ctx)
		m.is(err, zyre.ErrNoInterface, "Start")
		if err != nil && !strings.Contains(err.Error(), "nosuch0") {
			m.Errorf("the error does not name the interface: %v", err)
		}
	}
	m.is(n.Stop(), zyre.ErrNotStarted, "Stop")
}

func unknownPeer(m *mesh) {
	a, b := m.pair()
	text := []byte("x")
	m.is(a.Whisper(zyre.UUID{1, 2, 3}, text), zyre.ErrUnknownPeer, "whisper to a stranger")
	m.is(a.Whisper(zyre.UUID{}, text), zyre.ErrUnknownPeer, "whisper to the zero UUID")
	m.is(a.Whisper(a.UUID(), text), zyre.ErrUnknownPeer, "whisper to oneself")
	gone := b.UUID()
	m.ok(b.Stop(), "stop")
	a.await(zyre.Exit, gone)
	m.is(a.Whisper(gone, text), zyre.ErrUnknownPeer, "whisper to one who left")
}
