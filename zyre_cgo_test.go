//go:build cgo && !purego

package zyre

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var programs = map[string]func() int{}

func TestVersionNamesLibrary(t *testing.T) {
	if v := Version(); !strings.HasPrefix(v, "libzyre 2.") {
		t.Errorf("Version() = %q", v)
	}
}

// Every event with all its fields, both directions.
func TestConversation(t *testing.T) {
	opts := beacons(t)
	a := startNode(t, "a", append(opts, WithHeader("X-ROLE", "100%s sure"), WithHeader("X-EMPTY", ""))...)
	must(t, a.Join("BEFORE"))
	b := startNode(t, "b", opts...)

	enter := next(t, b, Enter)
	if enter.Peer != a.UUID() || enter.Name != "a" || enter.Header("X-ROLE") != "100%s sure" ||
		len(enter.Headers) != 2 || !strings.HasPrefix(enter.Addr, "tcp://10.") {
		t.Errorf("enter: %v %v", enter, enter.Headers)
	}
	if ev := next(t, b); ev.Type != Join || ev.Group != "BEFORE" || ev.Peer != a.UUID() || ev.Name != "a" {
		t.Errorf("join: %v", ev)
	}
	if ev := next(t, a, Enter); ev.Headers != nil || ev.Peer != b.UUID() {
		t.Errorf("enter of a peer without headers: %v", ev)
	}
	must(t, b.Whisper(a.UUID(), []byte("one"), nil, []byte("three")))
	if ev := next(t, a); ev.Type != Whisper || ev.Name != "b" || !slices.EqualFunc(ev.Msg, [][]byte{[]byte("one"), {}, []byte("three")}, bytes.Equal) {
		t.Errorf("whisper: %v %q", ev, ev.Msg)
	}
	must(t, b.Shout("BEFORE", []byte("all")))
	if ev := next(t, a); ev.Type != Shout || ev.Group != "BEFORE" || ev.Text() != "all" || len(ev.Msg) != 1 {
		t.Errorf("shout: %v %q", ev, ev.Msg)
	}
	must(t, a.Leave("BEFORE"))
	if ev := next(t, b); ev.Type != Leave || ev.Group != "BEFORE" {
		t.Errorf("leave: %v", ev)
	}
	must(t, a.Stop())
	if ev := next(t, b); ev.Type != Exit || ev.Peer != enter.Peer || ev.Name != "a" {
		t.Errorf("exit: %v", ev)
	}
	wantError(t, "Whisper to one that has left", b.Whisper(enter.Peer, []byte("x")), ErrUnknownPeer)
	if ev := next(t, a); ev.Type != Stop || ev.Peer != enter.Peer || ev.Name != "a" {
		t.Errorf("stop: %v", ev)
	}
}

func TestSizes(t *testing.T) {
	a, b := startPair(t)
	for _, size := range []int{0, 1, 255, 256, largeFrame - 1, largeFrame, 64<<10 - 1, 64 << 10, 1 << 20, 32 << 20} {
		body := bytes.Repeat([]byte{byte(size), 7}, size/2+1)[:size]
		must(t, a.Whisper(b.UUID(), body))
		must(t, a.Whisper(b.UUID(), body, []byte("end")))
		for frames := 1; frames <= 2; frames++ {
			ev := next(t, b, Whisper)
			if len(ev.Msg) != frames || !bytes.Equal(ev.Msg[0], body) {
				t.Fatalf("of %d bytes in %d frames arrived: %v", size, frames, ev)
			}
		}
	}
}

// Messages that wait together are taken in batches, in which small frames and
// large ones lie apart.
func TestSizesInOneBatch(t *testing.T) {
	a, b := startPair(t)
	const messages = 500
	message := func(i int) [][]byte {
		frames := make([][]byte, 1+i%4)
		for j := range frames {
			frames[j] = bytes.Repeat([]byte{byte(i), byte(j)}, (i*j*977%(3*largeFrame))/2)
		}
		return frames
	}
	for i := range messages {
		must(t, a.Whisper(b.UUID(), message(i)...))
	}
	waitFor(t, "arrival of all", func() bool { return b.Stats().Received == messages })
	for i := range messages {
		ev, want := next(t, b, Whisper), message(i)
		if !slices.EqualFunc(ev.Msg, want, bytes.Equal) {
			t.Fatalf("message %d arrived as %v", i, ev)
		}
		for j, f := range ev.Msg {
			if cap(f) != len(f) {
				t.Fatalf("frame %d of message %d has room for %d bytes behind it", j, i, cap(f)-len(f))
			}
		}
	}
}

// The caller of Recv owns the event: to append to a frame must not change
// the next one.
func TestFramesHaveNoRoomBehindThem(t *testing.T) {
	a, b := startPair(t)
	must(t, a.Whisper(b.UUID(), []byte("1"), []byte("2")))
	ev := next(t, b, Whisper)
	_ = append(ev.Msg[0], "overwritten"...)
	if string(ev.Msg[1]) != "2" {
		t.Errorf("second frame is %q", ev.Msg[1])
	}
}

func TestOrder(t *testing.T) {
	a, b := startPair(t)
	const messages = 5000
	go func() {
		for i := range messages {
			if err := a.Whisperf(b.UUID(), "%d", i); err != nil {
				t.Errorf("Whisper %d: %v", i, err)
				return
			}
		}
	}()
	for i := range messages {
		if ev := next(t, b, Whisper, Exit); ev.Text() != fmt.Sprint(i) {
			t.Fatalf("instead of %d: %v %s", i, ev, ev.Text())
		}
	}
	if s := b.Stats(); s.Received != messages || s.InboxEvents != 0 {
		t.Errorf("stats of the receiver: %+v", s)
	}
	waitFor(t, "all are counted", func() bool { return a.Stats().Sent == messages }) // after they were sent
}

// libzyre cuts text at a NUL: refuse it. LIBZYRE.
func TestNULIsRefused(t *testing.T) {
	_, err := New("a\x00b")
	wantError(t, "name", err, ErrInvalid)
	_, err = New("a", WithHeader("X", "a\x00b"))
	wantError(t, "header", err, ErrInvalid)
	n := newNode(t, "a")
	wantError(t, "group", n.Join("a\x00b"), ErrInvalid)
	wantError(t, "shout", n.Shout("a\x00b", nil), ErrInvalid)
}

// A message without frames leaves libzyre's control pipe in mid-message.
func TestEmptyMessageIsRefused(t *testing.T) {
	a, b := startPair(t)
	wantError(t, "Whisper", a.Whisper(b.UUID()), ErrEmptyMessage)
	wantError(t, "Shout", a.Shout("G"), ErrEmptyMessage)
	within(t, "a node after a message of no frames", func() {
		must(t, a.Whisper(b.UUID(), []byte("still here")))
		next(t, b, Whisper)
	})
}

// Values that libzyre would take for a printf format.
func TestPercentIsNoFormat(t *testing.T) {
	const odd = "%n%s%p%%"
	opts := beacons(t)
	a := startNode(t, odd, append(opts, WithHeader(odd, odd))...)
	b := startNode(t, "b", opts...)
	must(t, a.Join(odd))
	ev := next(t, b, Enter)
	if ev.Name != odd || ev.Header(odd) != odd {
		t.Errorf("got %v with %v", ev, ev.Headers)
	}
	if ev := next(t, b, Join); ev.Group != odd {
		t.Errorf("got %v", ev)
	}
	must(t, b.Shout(odd, []byte(odd)))
	if ev := next(t, a, Shout); ev.Group != odd || ev.Text() != odd {
		t.Errorf("got %v %q", ev, ev.Msg)
	}
}

func TestQueriesWithoutReading(t *testing.T) {
	opts := beacons(t)
	a := startNode(t, "a", opts...)
	b := startNode(t, "b", append(opts, WithHeader("K", "v"))...)
	must(t, b.Join("two"))
	must(t, b.Join("one"))
	meet(t, a, b)
	waitFor(t, "groups", func() bool { return slices.Equal(a.PeerGroups(), []string{"one", "two"}) })
	if got := a.Peers(); !slices.Equal(got, []UUID{b.UUID()}) {
		t.Errorf("peers: %v", got)
	}
	if got := a.GroupPeers("one"); !slices.Equal(got, []UUID{b.UUID()}) {
		t.Errorf("peers of a group: %v", got)
	}
	p, ok := a.Peer(b.UUID())
	if !ok || p.Name != "b" || p.Headers["K"] != "v" || !strings.HasPrefix(p.Endpoint, "tcp://10.") || !slices.Equal(p.Groups, []string{"one", "two"}) {
		t.Errorf("peer: %+v", p)
	}
	if _, ok := a.Peer(a.UUID()); ok {
		t.Error("a node is its own peer")
	}
	var text bytes.Buffer
	must(t, a.Dump(&text))
	for _, want := range []string{`"a"`, `"b"`, "one", b.UUID().String()} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in the dump:\n%s", want, &text)
		}
	}
	must(t, b.Leave("two"))
	waitFor(t, "group to go", func() bool { return slices.Equal(a.PeerGroups(), []string{"one"}) })
	b.Close()
	waitFor(t, "peer to go", func() bool { return len(a.Peers()) == 0 && len(a.PeerGroups()) == 0 })
}

func TestLifecycleErrors(t *testing.T) {
	opts := beacons(t)
	n := newNode(t, "n", opts...)
	wantError(t, "Stop before Start", n.Stop(), ErrNotStarted)
	wantError(t, "Whisper before Start", n.Whisper(UUID{1}, nil), ErrNotStarted)
	wantError(t, "Shout before Start", n.Shout("G", nil), ErrNotStarted)
	wantError(t, "RequirePeer before Start", n.RequirePeer(UUID{1}, "tcp://127.0.0.1:1", ""), ErrNotStarted)
	wantError(t, "GossipUnpublish before Start", n.GossipUnpublish(UUID{1}), ErrNotStarted)
	start(t, n)
	wantError(t, "second Start", n.Start(t.Context()), ErrStarted)
	wantError(t, "GossipUnpublish without gossip", n.GossipUnpublish(UUID{1}), ErrInvalid)
	wantError(t, "Whisper to nobody", n.Whisper(UUID{1}, nil), ErrUnknownPeer)
	must(t, n.Shout("nobody is here", nil))
	must(t, n.Close())
	must(t, n.Close())
	wantError(t, "Start of a closed node", n.Start(t.Context()), ErrClosed)
	wantError(t, "Stop of a closed node", n.Stop(), ErrClosed)
	wantError(t, "Join of a closed node", n.Join("G"), ErrClosed)
	wantError(t, "Leave of a closed node", n.Leave("G"), ErrClosed)
	wantError(t, "Whisper of a closed node", n.Whisper(UUID{1}, nil), ErrClosed)
	_, err := n.Recv(t.Context())
	wantError(t, "Recv of a closed node", err, ErrClosed)
}

// libzyre's nodes cannot be started twice; ours can, as a new presence.
func TestStopAndStart(t *testing.T) {
	opts := beacons(t)
	a, b := newNode(t, "a", opts...), startNode(t, "b", opts...)
	must(t, a.Join("G"))
	var before UUID
	addrs := map[string]bool{}
	for round := range 3 {
		start(t, a)
		id := a.UUID()
		if id == before {
			t.Fatalf("round %d has the UUID of the one before", round)
		}
		ev := next(t, b, Enter)
		if ev.Peer != id {
			t.Fatalf("entered: %v", ev)
		}
		addrs[ev.Addr] = true
		if ev := next(t, b); ev.Type != Join || ev.Group != "G" {
			t.Fatalf("instead of the join: %v", ev)
		}
		must(t, a.Stop())
		if ev := next(t, b); ev.Type != Exit || ev.Peer != id {
			t.Fatalf("instead of the exit: %v", ev)
		}
		if ev := next(t, a, Stop); ev.Peer != id {
			t.Fatalf("stop: %v", ev)
		}
		before = id
	}
	if got := a.Groups(); !slices.Equal(got, []string{"G"}) {
		t.Errorf("groups after Stop: %q", got)
	}
	// libzyre would take the same port again, and get old messages on it.
	if len(addrs) == 1 {
		t.Errorf("all presences were at %v", addrs)
	}
}

func TestUUIDBeforeStart(t *testing.T) {
	opts := beacons(t)
	n := newNode(t, "", opts...)
	id := n.UUID()
	start(t, n)
	if id.IsZero() || n.UUID() != id || n.Name() != id.Short() {
		t.Errorf("%v before Start, %v named %q after", id, n.UUID(), n.Name())
	}
}

// Several receivers share one node: whoever waits at the socket, no event is
// left lying while another receiver waits, and none is told twice.
func TestManyReceivers(t *testing.T) {
	opts := beacons(t)
	a, b := startNode(t, "a", opts...), newNode(t, "b", opts...)
	got := make(chan string)
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 8 {
		go func() {
			for i%2 == 0 || len(b.Peers()) == 0 { // half of them leave soon
				short, stop := context.WithTimeout(ctx, time.Duration(i+1)*time.Millisecond)
				ev, err := b.Recv(short)
				stop()
				if ev.Type == Whisper {
					got <- ev.Text()
				}
				if errors.Is(err, ErrClosed) || ctx.Err() != nil {
					return
				}
			}
		}()
		go func() {
			for { // these wait from before the start
				ev, err := b.Recv(ctx)
				if err != nil {
					return
				}
				if ev.Type == Whisper {
					got <- ev.Text()
				}
			}
		}()
	}
	defer cancel()
	start(t, b)
	meet(t, a, b)
	const messages = 3000
	go func() {
		for i := range messages {
			if err := a.Whisperf(b.UUID(), "%d", i); err != nil {
				t.Error(err)
			}
			if i%100 == 0 {
				b.Peers() // collects too
			}
		}
	}()
	seen := map[string]bool{}
	within(t, "messages to many receivers", func() {
		for range messages {
			text := <-got
			if seen[text] {
				t.Errorf("message %s came twice", text)
			}
			seen[text] = true
		}
	})
	// One at a time: nobody but the waiting receivers can find it.
	for i := range 200 {
		must(t, a.Whisperf(b.UUID(), "single %d", i))
		within(t, "a single message", func() {
			if text := <-got; text != fmt.Sprintf("single %d", i) {
				t.Errorf("message %d is %q", i, text)
			}
		})
	}
}

// A receiver that waits when the node stops gets what comes after the next
// start.
func TestReceiverOutlivesStop(t *testing.T) {
	opts := beacons(t)
	a, b := startNode(t, "a", opts...), newNode(t, "b", opts...)
	for range 5 {
		entered := make(chan Event)
		go func() {
			for {
				ev, err := b.Recv(t.Context())
				if err != nil || ev.Type == Enter {
					entered <- ev
					return
				}
			}
		}()
		start(t, b)
		within(t, "Recv after a start", func() {
			if ev := <-entered; ev.Peer != a.UUID() {
				t.Errorf("entered: %v", ev)
			}
		})
		must(t, b.Stop())
	}
}

// Of several receivers that wait from before the start, whoever was first at
// the socket gives up: the next one must take the place.
func TestReceiversFollowEachOther(t *testing.T) {
	opts := beacons(t)
	for range 10 {
		b := newNode(t, "b", opts...)
		const receivers = 4
		short, cancel := context.WithCancel(t.Context())
		gaveUp, got := make(chan error, receivers), make(chan Event)
		for range receivers - 1 {
			go func() {
				_, err := b.Recv(short)
				gaveUp <- err
			}()
		}
		go func() {
			ev, _ := b.Recv(t.Context())
			got <- ev
		}()
		start(t, b)
		waitFor(t, "somebody to wait at the socket", func() bool { return len(b.engine.in.seat) == 1 })
		cancel()
		within(t, "receivers whose context is done", func() {
			for range receivers - 1 {
				wantError(t, "Recv", <-gaveUp, context.Canceled)
			}
		})
		a := startNode(t, "a", opts...)
		within(t, "the one who still waits", func() {
			if ev := <-got; ev.Type != Enter || ev.Peer != a.UUID() {
				t.Errorf("got %v", ev)
			}
		})
		must(t, a.Close())
		must(t, b.Close())
	}
}

// A query that takes an event from under the eyes of a waiting Recv wakes it.
func TestQueriesHideNothingFromRecv(t *testing.T) {
	a, b := startPair(t)
	next(t, b, Enter)
	stop := make(chan struct{})
	var queries sync.WaitGroup
	defer queries.Wait()
	defer close(stop)
	queries.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				b.Peers()
			}
		}
	})
	for i := range 2000 {
		must(t, a.Whisperf(b.UUID(), "%d", i))
		if ev := next(t, b, Whisper); ev.Text() != fmt.Sprint(i) {
			t.Fatalf("instead of %d: %v", i, ev)
		}
	}
}

func TestRecvEndsWithItsContext(t *testing.T) {
	n := startNode(t, "n", beacons(t)...)
	for range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		within(t, "Recv after its deadline", func() {
			_, err := n.Recv(ctx)
			wantError(t, "Recv", err, context.DeadlineExceeded)
		})
		cancel()
	}
}

func TestCloseEndsRecv(t *testing.T) {
	n := startNode(t, "n", beacons(t)...)
	got := make(chan error)
	for range 4 {
		go func() {
			_, err := n.Recv(t.Context())
			got <- err
		}()
	}
	must(t, n.Close())
	within(t, "Recv after Close", func() {
		for range 4 {
			wantError(t, "Recv", <-got, ErrClosed)
		}
	})
}
