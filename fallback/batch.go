package fallback

import (
	"encoding/binary"
	"net"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
	"github.com/gozyre/zyre/fallback/internal/zre"
)

// Frames from this size on are referred to and not copied.
const refSize = 16 << 10

// batch is a stretch of the outgoing stream: encoded bytes, with large frames
// by reference.
type batch struct {
	buf      []byte
	refs     []ref
	refBytes int
	messages int // of the application
	bytes    int // in their frames
	frames   int // messages of any kind
	own      int // bytes of those of the protocol
}

// ref is a frame body that comes in before buf[at].
type ref struct {
	at   int
	body []byte
}

func (b *batch) size() int { return len(b.buf) + b.refBytes }

// plenty tells whether there is enough for a write of its own.
func (b *batch) plenty() bool { return len(b.buf) >= eager || b.frames >= eagerCount }

// sizes returns the bytes in a message, and those at most by which it makes the
// buffer of a batch longer.
func sizes(group string, frames [][]byte) (size, encoded int) {
	encoded = zmtp.MaxHeader + zre.HeaderSize + 1 + len(group) + len(frames)*zmtp.MaxHeader
	for _, f := range frames {
		size += len(f)
		if len(f) < refSize {
			encoded += len(f)
		}
	}
	return size, encoded
}

// message appends a WHISPER, or with a group a SHOUT, and its frames. It
// reports whether the frames are still needed because they are referred to.
func (b *batch) message(kind zre.Kind, seq uint16, group string, frames [][]byte) (referred bool) {
	if kind == zre.KindShout {
		b.buf = zmtp.AppendHeader(b.buf, zmtp.More, zre.HeaderSize+1+len(group))
		b.buf = zre.AppendGroup(b.buf, kind, seq, group)
	} else {
		b.buf = append(b.buf, zmtp.More, zre.HeaderSize)
		b.buf = zre.AppendSimple(b.buf, kind, seq)
	}
	refs := len(b.refs)
	for i, f := range frames {
		flags := byte(zmtp.More)
		if i == len(frames)-1 {
			flags = 0
		}
		b.buf = zmtp.AppendHeader(b.buf, flags, len(f))
		if len(f) < refSize {
			b.buf = append(b.buf, f...)
			continue
		}
		b.refs = append(b.refs, ref{len(b.buf), f})
		b.refBytes += len(f)
	}
	b.messages++
	b.frames++
	return len(b.refs) > refs
}

// frame appends a message of one frame, as encode writes it.
func (b *batch) frame(size int, encode func(dst []byte) []byte) {
	b.reserve(zmtp.MaxHeader + size)
	b.buf = zmtp.AppendHeader(b.buf, 0, size)
	b.buf = encode(b.buf)
	b.frames++
	b.own += size
}

// append adds all of another batch.
func (b *batch) append(other *batch) {
	for _, r := range other.refs {
		b.refs = append(b.refs, ref{r.at + len(b.buf), r.body})
	}
	b.reserve(len(other.buf))
	b.buf = append(b.buf, other.buf...)
	b.refBytes += other.refBytes
	b.messages += other.messages
	b.bytes += other.bytes
	b.frames += other.frames
	b.own += other.own
}

// prepend puts one encoded message in front of everything.
func (b *batch) prepend(head []byte) {
	if len(head) == 0 {
		return
	}
	b.frames++
	all := append(append(borrow(len(head)+len(b.buf)), head...), b.buf...)
	giveBack(b.buf)
	b.buf = all
	for i := range b.refs {
		b.refs[i].at += len(head)
	}
}

// pieces appends the stretches of the batch in order, none longer than most.
func (b *batch) pieces(dst net.Buffers, most int) net.Buffers {
	add := func(p []byte) {
		for len(p) > most {
			dst, p = append(dst, p[:most]), p[most:]
		}
		if len(p) > 0 {
			dst = append(dst, p)
		}
	}
	at := 0
	for _, r := range b.refs {
		add(b.buf[at:r.at])
		add(r.body)
		at = r.at
	}
	add(b.buf[at:])
	return dst
}

// reserve sees to it that there is room for so many encoded bytes more.
func (b *batch) reserve(more int) {
	if len(b.buf)+more <= cap(b.buf) {
		return
	}
	larger := append(borrow(len(b.buf)+more), b.buf...)
	giveBack(b.buf)
	b.buf = larger
}

// release ends the use of the batch.
func (b *batch) release() {
	giveBack(b.buf)
	*b = batch{}
}

// each calls do for every frame in the batch.
func (b *batch) each(do func(flags byte, body []byte)) {
	refs := b.refs
	for at := 0; at < len(b.buf); {
		flags, header, size, ok, err := zmtp.ParseHeader(b.buf[at:])
		if !ok || err != nil {
			return // the batch holds whole frames of our own
		}
		at += header
		if len(refs) > 0 && refs[0].at == at {
			do(flags, refs[0].body)
			refs = refs[1:]
			continue
		}
		do(flags, b.buf[at:at+size])
		at += size
	}
}

// renumber gives the messages in the batch sequence numbers from first on and
// returns the last one given. Commands of ZMTP have none.
func (b *batch) renumber(first uint16) (last uint16) {
	seq, inMessage := first, false
	b.each(func(flags byte, body []byte) {
		if flags&zmtp.Command == 0 && !inMessage {
			binary.BigEndian.PutUint16(body[zre.SeqOffset:], seq)
			seq++
		}
		inMessage = flags&zmtp.More != 0
	})
	return seq - 1
}
