package fallback

import (
	"net"
	"syscall"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
)

// link is an outgoing connection with two ways to write: without waiting, and
// all of several pieces in one system call. With CURVE it seals what it is
// given. One goroutine writes at a time.
type link struct {
	net.Conn
	raw    syscall.RawConn
	often  bool         // see retransmitOften
	chunk  int          // see writeChunk
	pieces net.Buffers  // room for the pieces of a batch
	vec    net.Buffers  // those that are being written
	sealer *zmtp.Sealer // nil: NULL
	sealed []byte       // frames that it sealed, or room for them

	// The argument and result of try, which is made once so that a write
	// costs no allocation.
	try    func(fd uintptr) bool
	tryBuf []byte
	tryN   int
}

func newLink(c net.Conn) *link {
	l := &link{Conn: c, chunk: blindChunk}
	sc, ok := c.(syscall.Conn)
	if !ok || !canTryWrite {
		return l
	}
	if raw, err := sc.SyscallConn(); err == nil {
		l.raw = raw
		l.try = func(fd uintptr) bool {
			l.tryN = writeNow(fd, l.tryBuf)
			return true
		}
	}
	if l.backlog() >= 0 {
		l.chunk = writeChunk
	}
	return l
}

// tryWrite writes what the kernel takes without waiting and returns how much
// that was. An error shows in the next write that waits.
func (l *link) tryWrite(b []byte) int {
	if l.raw == nil {
		return 0
	}
	l.tryBuf, l.tryN = b, 0
	err := l.raw.Write(l.try)
	l.tryBuf = nil
	if err != nil {
		return 0
	}
	return l.tryN
}

// backlog returns how many bytes were written that the peer has not taken, or
// -1 where the kernel does not tell.
func (l *link) backlog() int {
	n := -1
	if l.raw != nil {
		_ = l.raw.Control(func(fd uintptr) { n = unacknowledged(fd) })
	}
	return n
}

// writev writes all pieces, and waits for it.
func (l *link) writev(pieces net.Buffers) error {
	if len(pieces) == 1 {
		_, err := l.Write(pieces[0])
		return err
	}
	l.vec = pieces
	_, err := l.vec.WriteTo(l.Conn)
	return err
}

// encode returns what goes over the wire for a batch without references: with
// CURVE every frame sealed, else the batch itself.
func (l *link) encode(out *batch) []byte {
	if l.sealer == nil {
		return out.buf
	}
	out.each(func(flags byte, body []byte) { l.seal(flags, body) })
	return l.takeSealed()
}

// seal adds a frame to what was sealed and returns how much that is.
func (l *link) seal(flags byte, body []byte) int {
	l.sealed = l.sealer.Append(l.sealed, flags, body)
	return len(l.sealed)
}

// takeSealed returns what was sealed. Its room is used again for the frames
// after it.
func (l *link) takeSealed() []byte {
	sealed := l.sealed
	l.sealed = l.sealed[:0]
	if cap(l.sealed) > keepSealed {
		l.sealed = nil
	}
	return sealed
}

// keepSealed is how much room for sealed frames a connection keeps.
const keepSealed = 2 * sealChunk
