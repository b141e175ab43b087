package suite

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// testAmongThemselves needs no node of ours: if it fails, the foreign node or
// the program around it is at fault.
func testAmongThemselves(t *testing.T, impl Implementation) {
	a, b := impl.launch(t), impl.launch(t)
	a.Start("a", nil)
	b.Start("b", nil)
	a.Until(t, b.UUID, fallback.Enter)
	b.Until(t, a.UUID, fallback.Enter)
	a.Whisper(b.UUID, []byte("hello"))
	wantFrames(t, b.Next(t, a.UUID, fallback.Whisper), []byte("hello"))
	a.Stop()
	b.Next(t, a.UUID, fallback.Exit)
}

// testEvents goes through the life of a node, for each order of the start:
// who comes second is found by its first beacon, the other by its HELLO.
func testEvents(t *testing.T, impl Implementation) {
	start := func(p *pair) (ours, theirs func()) {
		return func() { p.our = p.ours.Start() },
			func() { p.theirs.Start(theirName, theirHeaders, "EARLY"); p.their = p.theirs.UUID }
	}
	t.Run("OursFirst", func(t *testing.T) {
		p := &pair{impl: impl, ours: newNode(t, ourName), theirs: impl.launch(t)}
		ours, theirs := start(p)
		testLife(t, p, ours, theirs)
	})
	t.Run("TheirsFirst", func(t *testing.T) {
		p := &pair{impl: impl, ours: newNode(t, ourName), theirs: impl.launch(t)}
		ours, theirs := start(p)
		testLife(t, p, theirs, ours)
	})
}

func testLife(t *testing.T, p *pair, first, second func()) {
	p.ours.Must(p.ours.Join("EARLY"))
	first()
	second()
	oursSaw, theirsSaw := p.meet(t, "EARLY")
	checkEnter(t, oursSaw, theirName, theirHeaders, p.theirs.Endpoint)
	checkEnter(t, theirsSaw, ourName, ourHeaders, "tcp://")
	if peer, ok := p.ours.Peer(p.their); !ok || peer.Endpoint != p.theirs.Endpoint {
		t.Errorf("our node knows %+v, %v; endpoint is %q", peer, ok, p.theirs.Endpoint)
	}
	if !p.theirs.Knows(p.our) {
		t.Error("their node does not list ours")
	}
	checkGroups(t, p)
	checkMessages(t, p)
	p.quiet(t)
	p.theirs.Stop()
	p.ours.Next(t, p.their, fallback.Exit)
}

func checkGroups(t *testing.T, p *pair) {
	t.Helper()
	p.ours.Must(p.ours.Join("OURS"))
	wantGroup(t, p.theirs.Next(t, p.our, fallback.Join), "OURS")
	p.theirs.Join("THEIRS")
	wantGroup(t, p.ours.Next(t, p.their, fallback.Join), "THEIRS")
	p.ours.Must(p.ours.Leave("OURS"))
	wantGroup(t, p.theirs.Next(t, p.our, fallback.Leave), "OURS")
	p.theirs.Leave("THEIRS")
	wantGroup(t, p.ours.Next(t, p.their, fallback.Leave), "THEIRS")
}

// checkMessages says one thing in each of the four ways.
func checkMessages(t *testing.T, p *pair) {
	t.Helper()
	text := []byte("hello")
	p.ours.Must(p.ours.Whisper(p.their, text))
	wantFrames(t, p.theirs.Next(t, p.our, fallback.Whisper), text)
	p.theirs.Whisper(p.our, text)
	wantFrames(t, p.ours.Next(t, p.their, fallback.Whisper), text)
	p.ours.Must(p.ours.Shout("EARLY", text))
	wantShout(t, p.theirs.Next(t, p.our, fallback.Shout), "EARLY", text)
	p.theirs.Shout("EARLY", text)
	wantShout(t, p.ours.Next(t, p.their, fallback.Shout), "EARLY", text)
}

// testFrames sends messages that are hard to frame, in all four ways.
func testFrames(t *testing.T, impl Implementation) {
	p := newPair(t, impl, "G")
	for _, msg := range messages(impl) {
		p.ours.Must(p.ours.Whisper(p.their, msg...))
		wantFrames(t, p.theirs.Next(t, p.our, fallback.Whisper), msg...)
		p.theirs.Whisper(p.our, msg...)
		wantFrames(t, p.ours.Next(t, p.their, fallback.Whisper), msg...)
		p.ours.Must(p.ours.Shout("G", msg...))
		wantShout(t, p.theirs.Next(t, p.our, fallback.Shout), "G", msg...)
		p.theirs.Shout("G", msg...)
		wantShout(t, p.ours.Next(t, p.their, fallback.Shout), "G", msg...)
	}
	p.quiet(t)
}

// messages have empty frames, many frames, bytes that are no text, and sizes
// around 255, where ZMTP changes to a long length.
func messages(impl Implementation) [][][]byte {
	msgs := [][][]byte{
		{{}},
		{{0, 1, 2, 254, 255}},
		{bytes.Repeat([]byte("x"), 255)},
		{bytes.Repeat([]byte("y"), 256)},
		{bytes.Repeat([]byte("z"), 1<<20)},
	}
	if impl.OneFrame {
		return msgs
	}
	return append(msgs, [][]byte{
		[]byte("one"), {}, {0xff, 0}, bytes.Repeat([]byte("four"), 1000), {},
	}, bytes.SplitAfter([]byte(strings.Repeat(".", 200)), []byte(".")))
}

// testOutsider shouts to a group that the sender is not in.
func testOutsider(t *testing.T, impl Implementation) {
	p := newPair(t, impl)
	p.ours.Must(p.ours.Join("OURS"))
	wantGroup(t, p.theirs.Next(t, p.our, fallback.Join), "OURS")
	p.theirs.Join("THEIRS")
	wantGroup(t, p.ours.Next(t, p.their, fallback.Join), "THEIRS")

	p.theirs.Shout("OURS", []byte("in"))
	wantShout(t, p.ours.Next(t, p.their, fallback.Shout), "OURS", []byte("in"))
	p.ours.Must(p.ours.Shout("THEIRS", []byte("in")))
	wantShout(t, p.theirs.Next(t, p.our, fallback.Shout), "THEIRS", []byte("in"))
	p.ours.Must(p.ours.Shout("NOBODYS", []byte("to nobody")))
	p.theirs.Leave("THEIRS")
	wantGroup(t, p.ours.Next(t, p.their, fallback.Leave), "THEIRS")
	p.ours.Must(p.ours.Shout("THEIRS", []byte("to nobody")))
	p.ours.Must(p.ours.Whisper(p.their, []byte("last")))
	wantFrames(t, p.theirs.Next(t, p.our, fallback.Whisper), []byte("last"))
	p.quiet(t)
}

func checkEnter(t *testing.T, ev lab.Event, name string, headers map[string]string, addr string) {
	t.Helper()
	if ev.Name != name || !maps.Equal(ev.Headers, headers) || !strings.HasPrefix(ev.Addr, addr) {
		t.Errorf("Enter of %q at %q with %q; want %q at %q with %q", ev.Name, ev.Addr, ev.Headers, name, addr, headers)
	}
}

func wantFrames(t *testing.T, ev lab.Event, frames ...[]byte) {
	t.Helper()
	if len(ev.Msg) != len(frames) {
		t.Fatalf("%d frames instead of %d", len(ev.Msg), len(frames))
	}
	for i := range frames {
		if !bytes.Equal(ev.Msg[i], frames[i]) {
			t.Fatalf("frame %d has %d bytes and begins with %.32q; want %d bytes, %.32q",
				i, len(ev.Msg[i]), ev.Msg[i], len(frames[i]), frames[i])
		}
	}
}

func wantShout(t *testing.T, ev lab.Event, group string, frames ...[]byte) {
	t.Helper()
	wantGroup(t, ev, group)
	wantFrames(t, ev, frames...)
}
