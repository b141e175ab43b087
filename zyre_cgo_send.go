//go:build cgo && !purego

package zyre

/*
#cgo noescape zg_send
#cgo nocallback zg_send
#include "zyre_cgo.h"
*/
import "C"

import (
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
	"unsafe"
)

const (
	settleEvery = 1024      // messages
	keepPacked  = 256 << 10 // bytes of buffer kept for the next message
)

// load is what was given to the actor since it last said that it is done.
type load struct{ messages, bytes int }

// sender makes one crossing into C of each message. It needs the engine's lock.
type sender struct {
	limit     int    // bytes that may wait for the actor
	target    []byte // a UUID's digits or a group's name, with the NUL that C wants
	packed    []byte // the frames of a message, each behind its length
	unsettled load
}

func (s *sender) whisper(p *presence, peer UUID, frames [][]byte) (size int) {
	s.target = hex.AppendEncode(s.target[:0], peer[:])
	for i, c := range s.target {
		if c >= 'a' {
			s.target[i] = c - 'a' + 'A' // libzyre compares text
		}
	}
	return s.send(p, false, frames)
}

func (s *sender) shout(p *presence, group string, frames [][]byte) (size int) {
	s.target = append(s.target[:0], group...)
	return s.send(p, true, frames)
}

// send gives a message to the actor, which cannot fail. A single frame is
// read by C where it lies, several are packed into one buffer first: C may
// not follow Go's pointers to them.
func (s *sender) send(p *presence, shout bool, frames [][]byte) (size int) {
	s.target = append(s.target, 0)
	data, packed := frames[0], len(frames) > 1
	if packed {
		s.pack(frames)
		data = s.packed
	}
	for _, f := range frames {
		size += len(f)
	}
	target := (*C.uint8_t)(unsafe.Pointer(&s.target[0]))
	p.calls.Lock()
	defer p.calls.Unlock()
	C.zg_send(p.c, cBool(shout), target, (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(data))), C.size_t(len(data)), cBool(packed), cBool(s.settles(size)))
	if cap(s.packed) > keepPacked {
		s.packed = nil
	}
	return size
}

func (s *sender) pack(frames [][]byte) {
	s.packed = s.packed[:0]
	for _, f := range frames {
		s.packed = binary.NativeEndian.AppendUint64(s.packed, uint64(len(f)))
		s.packed = append(s.packed, f...)
	}
}

// settles counts a message in and tells whether it is time to wait for the
// actor: its pipe has no limit that would hold the sender back.
func (s *sender) settles(size int) bool {
	s.unsettled.messages++
	s.unsettled.bytes += size
	if s.unsettled.messages < settleEvery && s.unsettled.bytes < s.limit {
		return false
	}
	s.unsettled = load{}
	return true
}

// counters count messages over all presences of a node.
type counters struct {
	sentMessages, sentBytes         atomic.Uint64
	receivedMessages, receivedBytes atomic.Uint64
}

func (c *counters) sent(receivers, size int) {
	c.sentMessages.Add(uint64(receivers))
	c.sentBytes.Add(uint64(receivers * size))
}

func (c *counters) received(messages, size int) {
	c.receivedMessages.Add(uint64(messages))
	c.receivedBytes.Add(uint64(size))
}

func (c *counters) stats() Stats {
	return Stats{
		Sent: c.sentMessages.Load(), SentBytes: c.sentBytes.Load(),
		Received: c.receivedMessages.Load(), ReceivedBytes: c.receivedBytes.Load(),
	}
}
