package fallback

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
	"github.com/gozyre/zyre/fallback/internal/zre"
)

// connPair returns a connection for a sender and its other end.
func connPair(t testing.TB) (*link, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return newLink(a), b
}

// wireReader reads messages of ZRE from the other end of a sender.
type wireReader struct {
	t  testing.TB
	rd *zmtp.Reader
}

// next returns the first frame of the next message and its content.
func (w *wireReader) next() (head []byte, content [][]byte) {
	for {
		flags, body, ok, err := w.rd.Next()
		switch {
		case err != nil:
			w.t.Fatal(err)
		case !ok:
			w.rd.Keep()
			if err := w.rd.Fill(); err != nil {
				w.t.Fatal(err)
			}
			continue
		case head == nil:
			head = body
		default:
			content = append(content, body)
		}
		if flags&zmtp.More == 0 {
			return head, content
		}
	}
}

func TestSenderKeepsOrderAndContent(t *testing.T) {
	c, far := connPair(t)
	s := newSender(64<<10, new(pace))
	s.wrap.style = wrapFull
	big := bytes.Repeat([]byte("0123456789abcdef"), 2*refSize/16)
	const senders, each = 4, 3000
	var wg sync.WaitGroup
	for g := range senders {
		wg.Go(func() {
			for i := range each {
				frames := [][]byte{fmt.Appendf(nil, "%d %d", g, i), {}}
				if i%100 == 7 {
					frames = append(frames, big, []byte("tail"))
				}
				if !s.send(zre.KindWhisper, "", frames) {
					t.Error("send failed")
					return
				}
			}
		})
	}
	go s.attach(c, zmtp.AppendFrame(nil, 0, zre.AppendSimple(nil, zre.KindHello, 1)))

	w := wireReader{t, zmtp.NewReader(far, 1<<20)}
	if head, _ := w.next(); zre.Kind(head[2]) != zre.KindHello {
		t.Fatalf("first message is % x", head)
	}
	next := [senders]int{}
	for i := range senders * each {
		head, content := w.next()
		if seq := binary.BigEndian.Uint16(head[zre.SeqOffset:]); seq != uint16(i+2) {
			t.Fatalf("message %d has number %d", i, seq)
		}
		var g, n int
		fmt.Sscanf(string(content[0]), "%d %d", &g, &n)
		if n != next[g] {
			t.Fatalf("sender %d: message %d after %d", g, n, next[g]-1)
		}
		next[g]++
		if n%100 == 7 && (len(content) != 4 || !bytes.Equal(content[2], big) || string(content[3]) != "tail") {
			t.Fatalf("large message arrived as %d frames", len(content))
		}
	}
	wg.Wait()
	eventually(t, "all are counted and nothing waits", func() bool {
		messages, _, waiting := s.counts()
		return messages == senders*each && waiting == 0
	})
}

// counter is how an implementation counts messages.
type counter struct {
	name    string
	modulo  int
	foreign func(head []byte) (counted bool, seq int) // a message that it does not know
	ignores zre.Kind                                  // and one that it does not know either
}

var counters = []counter{
	{name: "libzyre", modulo: 65536},
	{name: "zyre.js", modulo: 65535, ignores: zre.KindGoodbye},
	{name: "Pyre", modulo: 65535, foreign: func([]byte) (bool, int) { return true, 0 }},
}

// read reads messages as the implementation does, and answers PINGs.
func (c counter) read(t testing.TB, far net.Conn, s *sender, messages int) (answers int) {
	w := wireReader{t, zmtp.NewReader(far, 1<<20)}
	want := 1 // the HELLO, which these tests do not send
	for got := 0; got < messages; {
		head, _ := w.next()
		kind, seq := zre.Kind(head[2]), int(binary.BigEndian.Uint16(head[zre.SeqOffset:]))
		counted := kind != c.ignores
		if head[versionOffset] != 2 {
			counted = false
			if c.foreign != nil {
				counted, seq = c.foreign(head)
			}
		}
		if !counted {
			continue
		}
		want = (want + 1) % c.modulo
		if seq != want {
			t.Errorf("number %d instead of %d after %d messages", seq, want, got)
			return answers
		}
		switch kind {
		case zre.KindPing:
			answers++
			s.pong()
		case zre.KindWhisper:
			got++
		}
	}
	return answers
}

func TestSequenceWrapsAsThePeerCounts(t *testing.T) {
	for _, c := range counters {
		for _, beacons := range []bool{true, false} {
			if !beacons && c.name == "zyre.js" {
				continue // it has nothing but beacons
			}
			t.Run(fmt.Sprint(c.name, " beacons ", beacons), func(t *testing.T) {
				const messages = 200_000
				conn, far := connPair(t)
				far.SetDeadline(time.Now().Add(60 * time.Second))
				s := newSender(1<<20, new(pace))
				if beacons {
					s.announced()
				}
				s.attach(conn, nil)
				go func() {
					for range messages {
						if !s.send(zre.KindWhisper, "", [][]byte{[]byte("x")}) {
							return
						}
					}
				}()
				answers, want := c.read(t, far, s, messages), 1
				if c.name == "Pyre" {
					want = 2 // the question too
				}
				if answers != want {
					t.Errorf("%d PINGs were answered instead of %d", answers, want)
				}
				s.close()
			})
		}
	}
}

func TestSenderOfAnOwnNodeIsNeverHeldBack(t *testing.T) {
	c, far := connPair(t)
	s := newSender(1<<20, new(pace))
	s.learn(wrapFull)
	s.attach(c, nil)
	go func() {
		for range 70_000 {
			s.send(zre.KindWhisper, "", [][]byte{[]byte("x")})
		}
	}()
	if answers := counters[0].read(t, far, s, 70_000); answers != 0 {
		t.Errorf("%d PINGs for a peer whose way is known", answers)
	}
}

func TestSenderCloseEndsWaits(t *testing.T) {
	c, _ := connPair(t)
	s := newSender(4096, new(pace))
	s.attach(c, nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for s.send(zre.KindWhisper, "", [][]byte{make([]byte, 1000)}) {
			}
		})
		wg.Go(func() {
			for s.send(zre.KindWhisper, "", [][]byte{make([]byte, 2*refSize)}) {
			}
		})
	}
	eventually(t, "the sender is stuck for good", func() bool {
		before := s.stuckSince()
		time.Sleep(100 * time.Millisecond)
		return !before.IsZero() && s.stuckSince().Equal(before)
	})
	c.Close()
	if s.close() == 0 {
		t.Error("messages that never left are not counted")
	}
	wg.Wait()
}

// At the end a sender waits for the answer to all that was sent: also to what
// is on its way when all before it was answered, and to what has no connection
// yet.
func TestSettle(t *testing.T) {
	whisper := [][]byte{[]byte("the last word")}
	for name, send := range map[string]func(s *sender, c *link, far net.Conn){
		"on its way": func(s *sender, c *link, far net.Conn) {
			s.attach(c, nil)
			s.ping()
			far.Read(make([]byte, 100))
			s.pong()
			synctest.Wait()
			s.offer(zre.KindWhisper, "", whisper)
		},
		"no connection": func(s *sender, c *link, far net.Conn) {
			s.offer(zre.KindWhisper, "", whisper)
			time.AfterFunc(time.Second, func() { s.attach(c, nil) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				defer near.Close()
				s := newSender(1<<20, &pace{})
				send(s, newLink(near), far)
				settled := make(chan struct{})
				go func() {
					s.settle(time.Minute)
					close(settled)
				}()
				time.Sleep(2 * time.Second)
				select {
				case <-settled:
					t.Fatal("it has not waited")
				default:
				}
				rd := zmtp.NewReader(far, 1<<10)
				w := &wireReader{t, rd}
				if _, content := w.next(); string(bytes.Join(content, nil)) != "the last word" {
					t.Fatalf("%q", content)
				}
				if head, _ := w.next(); zre.Kind(head[2]) != zre.KindPing {
					t.Fatalf("% x", head)
				}
				s.pong()
				<-settled
				s.close()
			})
		})
	}
}

// At the end a sender without a connection waits for none if it has nothing to
// say but what the protocol has.
func TestSettleWithNothingToSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, began := newSender(1<<20, &pace{}), time.Now()
		s.ping()
		s.settle(time.Minute)
		if took := time.Since(began); took > 0 {
			t.Errorf("it has waited for %v", took)
		}
	})
}

// emptiedSender returns a sender whose connection somebody empties.
func emptiedSender(t testing.TB) *sender {
	c, far := connPair(t)
	go func() {
		buf := make([]byte, 256<<10)
		for {
			if _, err := far.Read(buf); err != nil {
				return
			}
		}
	}()
	s := newSender(1<<20, new(pace))
	s.learn(wrapFull)
	s.attach(c, nil)
	return s
}

func TestSenderSendsWithoutAllocating(t *testing.T) {
	s := emptiedSender(t)
	frames := [][]byte{make([]byte, 16)}
	allocs := testing.AllocsPerRun(20_000, func() { s.send(zre.KindWhisper, "", frames) })
	if allocs >= 1 {
		t.Errorf("%v allocations a message", allocs)
	}
}

func TestRenumber(t *testing.T) {
	var b batch
	b.message(zre.KindShout, 65535, "group", [][]byte{{}, make([]byte, 300), make([]byte, refSize)})
	b.buf = zmtp.AppendCommand(b.buf, "PONG", nil)
	b.message(zre.KindWhisper, 0, "", [][]byte{make([]byte, refSize), make([]byte, refSize), {1}})
	b.frame(zre.HeaderSize, func(dst []byte) []byte { return zre.AppendSimple(dst, zre.KindPing, 1) })
	if last := b.renumber(1); last != 3 {
		t.Errorf("last number is %d", last)
	}
	var want batch
	want.message(zre.KindShout, 1, "group", [][]byte{{}, make([]byte, 300), make([]byte, refSize)})
	want.buf = zmtp.AppendCommand(want.buf, "PONG", nil)
	want.message(zre.KindWhisper, 2, "", [][]byte{make([]byte, refSize), make([]byte, refSize), {1}})
	want.frame(zre.HeaderSize, func(dst []byte) []byte { return zre.AppendSimple(dst, zre.KindPing, 3) })
	if !bytes.Equal(b.buf, want.buf) {
		t.Errorf("renumbered to\n% x instead of\n% x", b.buf, want.buf)
	}
}

// BenchmarkSender sends to a connection that somebody empties.
func BenchmarkSender(b *testing.B) {
	for _, size := range []int{16, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := emptiedSender(b)
			frame := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for range b.N {
				s.send(zre.KindWhisper, "", [][]byte{frame})
			}
			b.StopTimer()
		})
	}
}

// A peer that was never reached has until its queue is full, but then the time
// counts in which it has taken nothing of it.
func TestUnreachedIsStuckSinceItsFirstMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSender(1<<20, &pace{})
		first := time.Now()
		frames := [][]byte{make([]byte, unreachedLimit/3)}
		for range 3 {
			if since := s.stuckSince(); !since.IsZero() {
				t.Fatalf("stuck since %v with room left", since)
			}
			if _, _, ok := s.offer(zre.KindShout, "G", frames); !ok {
				t.Fatal("no room")
			}
			time.Sleep(time.Minute)
		}
		if _, _, ok := s.offer(zre.KindShout, "G", frames); ok {
			t.Fatal("room for more than the limit")
		}
		if since := s.stuckSince(); !since.Equal(first) {
			t.Errorf("stuck since %v, not %v", since, first)
		}
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		s.attach(newLink(near), nil)
		if since := s.stuckSince(); !since.Equal(time.Now()) {
			t.Errorf("stuck since %v, before it was reached", since)
		}
		s.close()
		near.Close()
		synctest.Wait()
	})
}

// A crowd of peers that were never reached, to which somebody shouts, holds
// little, and nothing when they are gone.
func TestUnreachedHoldLittle(t *testing.T) {
	for _, size := range []int{10, 1 << 10, 4 << 10} {
		s := newSender(1<<20, &pace{})
		for frames := [][]byte{make([]byte, size)}; ; {
			if _, _, ok := s.offer(zre.KindShout, "G", frames); !ok {
				break
			}
		}
		if room := cap(s.queue.buf); room > 2*unreachedLimit {
			t.Errorf("messages of %d bytes: the queue has %d bytes", size, room)
		}
		if dropped := s.close(); dropped == 0 || cap(s.queue.buf) > 0 {
			t.Errorf("after the end of a queue of %d messages it has %d bytes", dropped, cap(s.queue.buf))
		}
	}
}

// What the protocol says to a peer that was not reached yet does not have to
// wait with what the application says.
func TestUnreachedHasRoomForTheProtocol(t *testing.T) {
	s := newSender(1<<20, &pace{})
	s.offer(zre.KindShout, "G", [][]byte{make([]byte, unreachedLimit)})
	sent := 0
	for s.control(1<<10, func(dst []byte, _ uint16) []byte { return append(dst, make([]byte, 1<<10)...) }) {
		sent += 1 << 10
	}
	if sent < unreachedControl/2 || sent > unreachedControl {
		t.Errorf("room for %d bytes", sent)
	}
}
