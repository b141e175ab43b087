package fallback

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
	"github.com/gozyre/zyre/fallback/internal/zre"
)

// What a sender concludes from the answers to its PINGs.

const large = 3 << 20 // a message that alone is more than may wait

// answering reads all that a sender writes and answers each PING, until the
// connection ends.
func answering(s *sender, far net.Conn) {
	rd := zmtp.NewReader(far, 8<<20)
	for head := true; ; {
		flags, body, ok, err := rd.Next()
		switch {
		case err != nil:
			return
		case !ok:
			if rd.Fill() != nil {
				return
			}
			continue
		case head && zre.Kind(body[2]) == zre.KindPing:
			s.pong()
		}
		head = flags&zmtp.More == 0
	}
}

// behindLarge is a sender with one large message that is being written and
// another one that waits.
func behindLarge(t *testing.T) (s *sender, far net.Conn) {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	s = newSender(1<<20, new(pace))
	s.attach(newLink(near), nil)
	for range 2 {
		go s.send(zre.KindWhisper, "", [][]byte{make([]byte, large)})
		synctest.Wait()
	}
	return s, far
}

// However much of the application waits, there is room for the protocol: else a
// JOIN would cost the peer its life, and a PING would never be answered.
func TestProtocolBehindLargeMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := behindLarge(t)
		defer s.close()
		if !s.control(zre.HeaderSize, func(dst []byte, seq uint16) []byte { return zre.AppendSimple(dst, zre.KindJoin, seq) }) {
			t.Error("no room for a JOIN")
		}
		s.ping()
		go answering(s, far)
		synctest.Wait()
		if !s.intact() {
			t.Errorf("all has arrived and every PING was answered: %d of %d", s.wrap.pongs, s.wrap.pings)
		}
	})
}

// A PING that there was no room for is not waited for.
func TestPingWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := behindLarge(t)
		defer s.close()
		for s.control(1<<10, func(dst []byte, seq uint16) []byte {
			return append(zre.AppendSimple(dst, zre.KindJoin, seq), make([]byte, 1<<10-zre.HeaderSize)...)
		}) {
		}
		s.ping()
		go answering(s, far)
		synctest.Wait()
		s.ping()
		synctest.Wait()
		if !s.intact() {
			t.Errorf("all has arrived and every PING that was sent was answered: %d of %d", s.wrap.pongs, s.wrap.pings)
		}
	})
}

// While a message is being written it is not known to have arrived.
func TestHalfWrittenIsNotIntact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		s := newSender(1<<20, new(pace))
		s.attach(newLink(near), nil)
		go s.send(zre.KindWhisper, "", [][]byte{make([]byte, large)})
		synctest.Wait()
		s.detach() // who reads the connection has seen its end
		if s.intact() {
			t.Error("half a message is lost, and nothing is missing")
		}
		near.Close()
		synctest.Wait()
		s.close()
	})
}

// Pyre answers the question how it counts with a PING-OK. That is none for a
// PING, so at the end the sender still waits for one.
func TestAnswerToTheQuestionIsNoSignOfLife(t *testing.T) {
	conn, far := connPair(t)
	s := newSender(1<<20, new(pace))
	s.attach(conn, nil)
	const messages = 70_000
	go func() {
		for range messages {
			s.send(zre.KindWhisper, "", [][]byte{[]byte("x")})
		}
	}()
	pyre := counters[slices.IndexFunc(counters, func(c counter) bool { return c.name == "Pyre" })]
	far.SetDeadline(time.Now().Add(patience))
	pyre.read(t, far, s, messages)
	s.send(zre.KindWhisper, "", [][]byte{[]byte("the last word")})
	begun := time.Now()
	const most = 200 * time.Millisecond
	s.settle(most)
	if took := time.Since(begun); took < most {
		t.Errorf("settled after %v, without an answer", took)
	}
	s.close()
}

// A Whisper that waits for room when the node stops is refused: behind the last
// PING it would be lost.
func TestNothingIsTakenAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := behindLarge(t)
		defer s.close()
		taken := make(chan bool)
		go func() { taken <- s.send(zre.KindWhisper, "", [][]byte{[]byte("waits")}) }()
		synctest.Wait()
		s.end()
		go answering(s, far)
		if <-taken {
			t.Error("taken")
		}
		if s.send(zre.KindWhisper, "", [][]byte{[]byte("late")}) {
			t.Error("taken behind the end")
		}
		if _, _, ok := s.offer(zre.KindShout, "G", [][]byte{[]byte("late")}); !ok {
			t.Error("who shouts would wait for it")
		}
		synctest.Wait()
	})
}
