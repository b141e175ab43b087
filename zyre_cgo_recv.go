//go:build cgo && !purego

package zyre

/*
#cgo noescape zg_drain
#cgo nocallback zg_drain
#include "zyre_cgo.h"
*/
import "C"

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"time"
	"unsafe"

	"github.com/gozyre/zyre/internal/buffer"
)

// flowing is the time within which another event makes a flow of them. Then
// it pays to let the threads of libzyre go on for a moment before the socket
// is found empty: finding it so costs them a wake, and us.
const flowing = 50 * time.Microsecond

// Shortly after an event the one who waits for the next stays in a call of C,
// for a millisecond at most, and is woken by it alone. Go's netpoller wakes
// him with the help of other threads, which takes libzyre's the processor: a
// third of a round trip.
const lively = C.ZG_STAY_MS * time.Millisecond

// Who only goes in and out of calls for 10 ms looks to Go's scheduler like one
// who does not let others run. It then takes the processor from him at each
// call, and gives it back. Letting others run now and then is cheaper.
const turn = 5 * time.Millisecond

// collect moves what libzyre's socket has into the inbox, without waiting,
// and reports whether there was anything. Anybody may call it.
func (p *presence) collect() bool {
	p.draining.Lock()
	defer p.draining.Unlock()
	return p.drain(false)
}

// linger is for the one who waits. If there was an event just now, he stays
// for the next, but takes no more than that one unless they flow. It reports
// whether the inbox has something.
func (p *presence) linger() bool {
	p.lingers.Store(true)
	defer p.lingers.Store(false)
	p.draining.Lock()
	defer p.draining.Unlock()
	if p.in.some() {
		return true // another has collected it; nobody can while we stay
	}
	now := time.Now()
	if now.Sub(p.arrival) >= lively {
		return false
	}
	if now.Sub(p.yielded) > turn {
		p.yielded = now
		runtime.Gosched()
	}
	return p.drain(true)
}

// drain takes what there is, once for each batch, and at first stays for it if
// told to. It reports whether there was anything. Holding draining.
func (p *presence) drain(stay bool) bool {
	some := false
	flows := time.Since(p.arrival) < flowing
	for more := !p.ended; more && !p.stopped; more = p.c.more != 0 {
		if C.zg_drain(p.c, cBool(flows), cBool(stay && !some)) > 0 {
			some = true
			p.events = p.decode(p.events[:0])
			p.in.push(p.events)
			clear(p.events) // the inbox has them; keep nothing alive here
		}
	}
	p.collected = time.Now()
	if some {
		p.arrival = p.collected
	}
	if p.c.larges > 0 {
		C.zg_release(p.c) // they may be many megabytes
	}
	return some
}

// update collects on behalf of a query, and wakes the one who waits at the
// socket: he will not hear of what was collected. Who lingers there collects
// at once what comes.
func (p *presence) update() {
	if !p.lingers.Load() && p.collect() {
		p.interrupt()
	}
}

// updateEvery is update for those who ask often: it spares them most of it.
func (p *presence) updateEvery(d time.Duration) {
	if p.lingers.Load() {
		return
	}
	p.draining.Lock()
	due := time.Since(p.collected) > d
	p.draining.Unlock()
	if due {
		p.update()
	}
}

// await returns when there may be an event in the inbox, when the context is
// done, when the presence has ended, or for no reason. It waits in Go's
// netpoller and holds no thread, but for the moment of linger. There must be
// one caller at a time, who has the inbox's seat.
func (p *presence) await(ctx context.Context) {
	if p.linger() {
		return
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, p.interrupt)
		defer stop()
	}
	p.watch.until(p.arrived)
}

func (p *presence) arrived() bool { return p.collect() || p.in.some() }

// interrupt ends an await. Coming late it ends the next one, which does no
// harm.
func (p *presence) interrupt() { p.watch.interrupt() }

// decode appends the events of the batch that zg_drain has left. Their small
// frames share one copy of it, their frames one slice. Stop is the last event,
// even if libzyre has more to say.
func (p *presence) decode(events []Event) []Event {
	b := batch{
		bytes: buffer.Clone(unsafe.Slice((*byte)(p.c.batch), int(p.c.size))),
		large: unsafe.Slice(p.c.large, int(p.c.larges)),
	}
	frames := make([][]byte, 0, int(p.c.frames))
	messages, size := 0, 0
	for len(b.bytes) > 0 && !p.stopped {
		first := len(frames)
		frames = b.message(frames)
		ev, ok := p.roster.event(frames[first:len(frames):len(frames)])
		if !ok {
			continue
		}
		if ev.Msg != nil {
			messages++
			size += ev.bytes()
		}
		events = p.roster.admit(events, ev)
		p.stopped = ev.Type == Stop
	}
	p.counts.received(messages, size)
	return events
}

// bytes returns the size of the message of an event.
func (e *Event) bytes() (n int) {
	for _, f := range e.Msg {
		n += len(f)
	}
	return n
}

// largeFrame is the size from which on a batch refers to a frame.
const largeFrame = C.ZG_LARGE

// batch is what is left to decode of a batch of zg_drain.
type batch struct {
	bytes []byte
	large []C.zg_frame
}

// message appends the frames of the next message. Slices are limited to their
// bytes: their owner may append.
func (b *batch) message(frames [][]byte) [][]byte {
	for range b.length() {
		frames = append(frames, b.frame())
	}
	return frames
}

func (b *batch) frame() []byte {
	n := b.length()
	if n < largeFrame {
		f := b.bytes[:n:n]
		b.bytes = b.bytes[n:]
		return f
	}
	f := buffer.Clone(unsafe.Slice((*byte)(b.large[0].data), n))
	b.large = b.large[1:]
	return f[:n:n]
}

func (b *batch) length() int {
	n := binary.NativeEndian.Uint32(b.bytes)
	b.bytes = b.bytes[4:]
	return int(n)
}

// event decodes a message of libzyre: what happened, to whom, and their name,
// then what belongs to the kind of event. It reports false for a message that
// is none, which a later libzyre might send. Only a collector calls it.
func (r *roster) event(frames [][]byte) (ev Event, ok bool) {
	if len(frames) < 3 {
		return ev, false
	}
	if n, err := hex.Decode(ev.Peer[:], frames[1]); n != len(ev.Peer) || err != nil {
		return ev, false
	}
	ev.Name = r.nameOf(ev.Peer, frames[2])
	more := frames[3:]
	switch string(frames[0]) {
	case "WHISPER":
		ev.Type, ev.Msg = Whisper, more
	case "SHOUT":
		ev.Type = Shout
		if len(more) < 1 {
			return ev, false
		}
		ev.Group, ev.Msg = r.groupOf(more[0]), more[1:]
	case "ENTER":
		ev.Type = Enter
		return ev, decodeEnter(&ev, more)
	case "JOIN":
		return r.groupEvent(ev, Join, more)
	case "LEAVE":
		return r.groupEvent(ev, Leave, more)
	case "LEADER":
		return r.groupEvent(ev, Leader, more)
	case "EVASIVE":
		ev.Type = Evasive
	case "SILENT":
		ev.Type = Silent
	case "EXIT":
		ev.Type = Exit
	case "STOP":
		ev.Type = Stop
	}
	return ev, ev.Type != 0
}

func (r *roster) groupEvent(ev Event, t EventType, more [][]byte) (Event, bool) {
	if len(more) < 1 {
		return ev, false
	}
	ev.Type, ev.Group = t, r.groupOf(more[0])
	return ev, true
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
