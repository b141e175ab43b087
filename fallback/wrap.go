package fallback

import (
	"time"

	"github.com/gozyre/zyre/fallback/internal/zre"
)

// The sequence number of ZRE has 16 bits. libzyre lets 65535 be followed by
// 0; Pyre and zyre.js count modulo 65535, so that 65534 is followed by 0.
// Neither accepts the other's way: the peer is dropped, and messages are
// lost. Nothing that a peer says tells which it is, but it can be asked when
// the time has come, with one PING whose protocol version is 3:
//
//   - libzyre ignores it, without counting it.
//   - Pyre reads its kind, stops at the version, and goes on with a PING of
//     sequence number 0: just the number that it waits for after 65534. It
//     answers with PING-OK and waits for 1.
//
// So 65534 is always a plain PING, which both answer, and the question
// follows it; what comes behind is held back meanwhile. If the first answer
// comes and no second one within the grace, the peer is not Pyre. This costs
// one such pause in the life of a peer.
//
// zyre.js ignores the question, as libzyre does. Both are served by a GOODBYE
// with the number 65535: libzyre, which takes it for one only if it uses
// gossip, counts it, and zyre.js, which does not know the message, does not.
// Both then wait for 0. A peer that may use gossip is not sent one: it is no
// zyre.js.
//
// A peer that has itself sent 65536 messages has shown how it counts. Nodes
// of this package say so in the handshake.
const (
	probeSeq = 65534 // after this number the ways part
	grace    = 100 * time.Millisecond
	maxHeld  = 30_000 // messages held back meanwhile
)

type wrapStyle uint8

const (
	wrapUnknown wrapStyle = iota
	wrapFull              // 65535 is followed by 0
	wrapShort             // 65534 is followed by 0
	wrapEither            // full or short, but not Pyre: 65535 is a GOODBYE
)

// wrap is what a sender knows about the way its peer counts. It is guarded
// by the sender's lock.
type wrap struct {
	style wrapStyle
	pings int // PINGs sent, ever
	pongs int // and answered
	asked int // pings when the question was asked

	beacons bool // the peer uses beacons, and no gossip

	held  bool  // the question was asked, and:
	later batch // what comes behind it, numbered for a peer that counts in full
	timer *time.Timer
}

// after returns the number that follows seq.
func (w wrapStyle) after(seq uint16) uint16 {
	if w == wrapShort && seq == probeSeq {
		return 0
	}
	return seq + 1
}

func (w *wrap) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// nextSeq takes the next sequence number; mu is held.
func (s *sender) nextSeq() uint16 {
	s.seq = s.wrap.style.after(s.seq)
	switch {
	case s.seq == probeSeq && s.wrap.style == wrapUnknown && !s.wrap.held:
		s.ask()
		s.seq++
	case s.seq == probeSeq+1 && s.wrap.style == wrapEither:
		s.skip()
		s.seq++
	}
	return s.seq
}

// ask queues the PING with the number 65534 and the question behind it, and
// holds back all that follows; mu is held.
func (s *sender) ask() {
	s.wrap.pings++
	s.wrap.asked = s.wrap.pings
	s.queue.frame(zre.HeaderSize, func(dst []byte) []byte {
		return zre.AppendSimple(dst, zre.KindPing, probeSeq)
	})
	s.queue.frame(zre.HeaderSize, func(dst []byte) []byte {
		at := len(dst)
		dst = zre.AppendSimple(dst, zre.KindPing, 0)
		dst[at+versionOffset] = foreignVersion
		return dst
	})
	s.framed += 2
	s.wrap.held = true
}

// skip queues what takes the number 65535 with libzyre, and none with
// zyre.js; mu is held.
func (s *sender) skip() {
	s.queue.frame(zre.HeaderSize, func(dst []byte) []byte {
		return zre.AppendSimple(dst, zre.KindGoodbye, probeSeq+1)
	})
	s.framed++
}

const (
	versionOffset  = 3 // of the protocol version in a frame of ZRE
	foreignVersion = 3
)

// answersQuestion tells whether an answer that comes is that to the question:
// all PINGs that were sent have theirs, and those behind it were not sent yet;
// mu is held.
func (s *sender) answersQuestion() bool { return s.wrap.held && s.wrap.pongs == s.wrap.asked }

// answered gives the question its time when all before it was answered; mu is
// held.
func (s *sender) answered() {
	w := &s.wrap
	if s.answersQuestion() && w.timer == nil {
		w.timer = time.AfterFunc(grace, func() {
			s.mu.Lock()
			if w.beacons {
				s.decide(wrapEither)
			} else {
				s.decide(wrapFull)
			}
			s.kick()
		})
	}
}

// learn is told how the peer counts, by itself.
func (s *sender) learn(style wrapStyle) {
	s.mu.Lock()
	if !s.wrap.held {
		s.wrap.style = style
	}
	s.mu.Unlock()
}

// decide ends the question and lets go what was held back; mu is held.
func (s *sender) decide(style wrapStyle) {
	w := &s.wrap
	if !w.held {
		return
	}
	w.stop()
	w.held, w.style = false, style
	switch style {
	case wrapShort:
		s.restart(1) // the question was counted as number 0
	case wrapEither:
		s.skip()
		s.restart(0)
	}
	s.queue.append(&w.later)
	w.later.release()
}

// restart numbers what was held back from first on; mu is held.
func (s *sender) restart(first uint16) {
	s.seq = first - 1
	if s.wrap.later.size() > 0 {
		s.seq = s.wrap.later.renumber(first)
	}
}

// announced notes that the peer announces itself by beacon, as far as we know.
func (s *sender) announced() {
	s.mu.Lock()
	s.wrap.beacons = true
	s.mu.Unlock()
}
