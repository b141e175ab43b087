package transport

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeSize is how much one direction of a pipe holds.
const pipeSize = 64 << 10

// newPipe returns both ends of a connection inside the process. Unlike those
// of net.Pipe they have buffers: in ZMTP both sides begin with writing.
func newPipe(addr net.Addr) (net.Conn, net.Conn) {
	a, b := newHalf(), newHalf()
	return &pipeEnd{a, b, addr}, &pipeEnd{b, a, addr}
}

// pipeEnd is one end of a pipe.
type pipeEnd struct {
	in, out *half
	addr    net.Addr
}

func (p *pipeEnd) Read(b []byte) (int, error)  { return p.in.read(b) }
func (p *pipeEnd) Write(b []byte) (int, error) { return p.out.write(b) }
func (p *pipeEnd) LocalAddr() net.Addr         { return p.addr }
func (p *pipeEnd) RemoteAddr() net.Addr        { return p.addr }

func (p *pipeEnd) Close() error {
	p.in.leave(&p.in.reader)
	p.out.leave(&p.out.writer)
	return nil
}

func (p *pipeEnd) SetDeadline(t time.Time) error {
	p.SetReadDeadline(t)
	p.SetWriteDeadline(t)
	return nil
}

func (p *pipeEnd) SetReadDeadline(t time.Time) error {
	p.in.limit(&p.in.reader, t)
	return nil
}

func (p *pipeEnd) SetWriteDeadline(t time.Time) error {
	p.out.limit(&p.out.writer, t)
	return nil
}

// half is one direction.
type half struct {
	mu             sync.Mutex
	changed        sync.Cond
	data           []byte
	reader, writer user
}

// user is the reader or the writer of a half.
type user struct {
	gone     bool      // it has closed its end
	deadline time.Time // zero: none
	timer    *time.Timer
}

func newHalf() *half {
	h := &half{}
	h.changed.L = &h.mu
	return h
}

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(b) > 0 && len(h.data) == 0 && !h.writer.gone && h.reader.err() == nil {
		h.changed.Wait()
	}
	switch err := h.reader.err(); {
	case err != nil:
		return 0, err
	case len(b) > 0 && len(h.data) == 0:
		return 0, io.EOF
	}
	n := copy(b, h.data)
	h.data = append(h.data[:0], h.data[n:]...)
	h.changed.Broadcast()
	return n, nil
}

func (h *half) write(b []byte) (written int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch err := h.writer.err(); {
		case err != nil:
			return written, err
		case h.reader.gone:
			return written, io.ErrClosedPipe
		}
		n := min(len(b), pipeSize-len(h.data))
		h.data = append(h.data, b[:n]...)
		b, written = b[n:], written+n
		h.changed.Broadcast()
		if len(b) == 0 {
			return written, nil
		}
		h.changed.Wait()
	}
}

func (u *user) err() error {
	switch {
	case u.gone:
		return net.ErrClosed
	case !u.deadline.IsZero() && !time.Now().Before(u.deadline):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// leave takes note that a user closes its end.
func (h *half) leave(u *user) {
	h.limit(u, time.Time{})
	h.mu.Lock()
	defer h.mu.Unlock()
	u.gone = true
	h.changed.Broadcast()
}

// limit sets the deadline of a user; zero: none.
func (h *half) limit(u *user, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u.timer != nil {
		u.timer.Stop()
		u.timer = nil
	}
	u.deadline = t
	if left := time.Until(t); left > 0 && !u.gone {
		u.timer = time.AfterFunc(left, h.wake)
	}
	h.changed.Broadcast()
}

// wake has those who wait look at their deadlines.
func (h *half) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed.Broadcast()
}
