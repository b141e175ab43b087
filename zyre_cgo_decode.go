//go:build cgo && !purego

package zyre

/*
#include "zyre_cgo.h"
*/
import "C"

import (
	"encoding/binary"
	"encoding/hex"
	"unsafe"

	"github.com/gozyre/zyre/internal/buffer"
)

// decode appends the events of the batch that zg_drain has left. Stop is the
// last event, even if libzyre has more to say.
func (p *presence) decode(events []Event) []Event {
	b := batch{
		bytes: unsafe.Slice((*byte)(p.c.batch), int(p.c.size)),
		large: unsafe.Slice(p.c.large, int(p.c.larges)),
	}
	p.slab.reserve(int(p.c.body_bytes), int(p.c.body_frames))
	messages, size := 0, 0
	for len(b.bytes) > 0 && !p.stopped {
		p.frames = b.message(p.frames[:0])
		ev, about, ok := p.roster.event(p.frames)
		if ev.Msg != nil {
			ev.Msg = p.slab.message(ev.Msg)
			messages++
			size += ev.bytes()
		}
		if ok {
			events = p.roster.admit(events, ev, about, p.hasCutOff)
		}
		p.stopped = ev.Type == Stop
		clear(p.frames) // the collector must not come upon memory of C that is gone
	}
	p.counts.received(messages, size)
	return events
}

// hasCutOff asks libzyre whether it has closed its connection to a peer.
func (p *presence) hasCutOff(id UUID) bool { return p.peerAddress(id) == "" }

// bytes returns the size of the message of an event.
func (e *Event) bytes() (n int) {
	for _, f := range e.Msg {
		n += len(f)
	}
	return n
}

// largeFrame is the size from which on a batch refers to a frame.
const largeFrame = C.ZG_LARGE

// batch is what is left to decode of a batch of zg_drain. It is memory of C.
type batch struct {
	bytes []byte
	large []C.zg_frame
}

// message appends the frames of the next message, which are the batch's.
func (b *batch) message(frames [][]byte) [][]byte {
	for range b.length() {
		frames = append(frames, b.frame())
	}
	return frames
}

func (b *batch) frame() []byte {
	n := b.length()
	if n < largeFrame {
		f := b.bytes[:n]
		b.bytes = b.bytes[n:]
		return f
	}
	f := unsafe.Slice((*byte)(b.large[0].data), n)
	b.large = b.large[1:]
	return f
}

func (b *batch) length() int {
	n := binary.NativeEndian.Uint64(b.bytes)
	b.bytes = b.bytes[8:]
	return int(n)
}

// slab is the memory that messages get which come together, or one after the
// other: a block for the bytes of small frames, and one for their slices.
type slab struct {
	bytes  []byte
	frames [][]byte
}

const (
	minSlabBytes  = 1 << 10
	minSlabFrames = 32
)

// reserve makes room for what a batch has.
func (s *slab) reserve(bytes, frames int) {
	if len(s.bytes) < bytes || s.bytes == nil {
		s.bytes = buffer.Get(max(bytes, minSlabBytes))
	}
	if len(s.frames) < frames || s.frames == nil {
		s.frames = make([][]byte, max(frames, minSlabFrames))
	}
}

// message returns a copy. Slices are limited to their bytes: their owner may
// append.
func (s *slab) message(frames [][]byte) [][]byte {
	n := len(frames)
	msg := s.frames[:n:n]
	s.frames = s.frames[n:]
	for i, f := range frames {
		msg[i] = s.frame(f)
	}
	return msg
}

func (s *slab) frame(b []byte) []byte {
	n := len(b)
	if n >= largeFrame {
		return buffer.Clone(b)[:n:n]
	}
	f := s.bytes[:n:n]
	s.bytes = s.bytes[n:]
	copy(f, b)
	return f
}

// event decodes a message of libzyre: what happened, to whom, and their name,
// then what belongs to the kind of event. It returns whom it is about, if that
// peer is known, and reports false for a message that is none, which a later
// libzyre might send. Msg is not copied. Only a collector calls it.
func (r *roster) event(frames [][]byte) (ev Event, about *member, ok bool) {
	if len(frames) < headFrames {
		return ev, nil, false
	}
	about = r.recent
	if about != nil && about.text == string(frames[1]) {
		ev.Peer = about.id
	} else {
		if n, err := hex.Decode(ev.Peer[:], frames[1]); n != len(ev.Peer) || err != nil {
			return ev, nil, false
		}
		about = r.byID[ev.Peer]
		r.recent = about
	}
	ev.Name = about.nameOr(frames[2])
	return ev, about, r.complete(&ev, frames[0], frames[headFrames:])
}

// headFrames is how many frames each message begins with.
const headFrames = C.ZG_HEAD_FRAMES

// complete adds what belongs to the kind of event.
func (r *roster) complete(ev *Event, kind []byte, more [][]byte) bool {
	switch string(kind) {
	case "WHISPER":
		ev.Type, ev.Msg = Whisper, more
	case "SHOUT":
		ev.Type = Shout
		if len(more) < 1 {
			return false
		}
		ev.Group, ev.Msg = r.groupOf(more[0]), more[1:]
	case "ENTER":
		ev.Type = Enter
		return decodeEnter(ev, more)
	case "JOIN":
		ev.Type = Join
		return r.decodeGroup(ev, more)
	case "LEAVE":
		ev.Type = Leave
		return r.decodeGroup(ev, more)
	case "LEADER":
		ev.Type = Leader
		return r.decodeGroup(ev, more)
	case "EVASIVE":
		ev.Type = Evasive
	case "SILENT":
		ev.Type = Silent
	case "EXIT":
		ev.Type = Exit
	case "STOP":
		ev.Type = Stop
	}
	return ev.Type != 0
}

func (r *roster) decodeGroup(ev *Event, more [][]byte) bool {
	if len(more) < 1 {
		return false
	}
	ev.Group = r.groupOf(more[0])
	return true
}

// decodeEnter reads headers, which libzyre leaves out if there are none, and
// the address.
func decodeEnter(ev *Event, more [][]byte) bool {
	if len(more) == 0 {
		return false
	}
	if len(more) > 1 {
		ev.Headers = decodeHeaders(more[0])
	}
	ev.Addr = string(more[len(more)-1])
	return true
}

// decodeHeaders reads a packed zhash: the number of entries in 4 bytes, then
// each name behind its length in 1 byte and each value behind its in 4.
func decodeHeaders(b []byte) map[string]string {
	if len(b) < 4 {
		return nil
	}
	count := binary.BigEndian.Uint32(b)
	if b = b[4:]; count == 0 {
		return nil
	}
	headers := make(map[string]string)
	for range count {
		var name, value string
		var ok bool
		if name, b, ok = cutString(b, 1); !ok {
			break
		}
		if value, b, ok = cutString(b, 4); !ok {
			break
		}
		headers[name] = value
	}
	return headers
}

// cutString cuts a string behind a length of so many big-endian bytes.
func cutString(b []byte, lengthBytes int) (s string, rest []byte, ok bool) {
	if len(b) < lengthBytes {
		return "", nil, false
	}
	n := 0
	for _, c := range b[:lengthBytes] {
		n = n<<8 | int(c)
	}
	if b = b[lengthBytes:]; len(b) < n {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}
