package fallback

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// wire is the node's end of a connection that is nothing but a buffer: what the
// other end says is there at once, and what the node says is forgotten. It
// needs no goroutine, for there are thousands a second.
type wire struct {
	from net.Addr

	mu       sync.Mutex
	more     sync.Cond
	unread   []byte
	ended    bool // nothing more will be said
	closed   bool
	deadline time.Time
	alarm    *time.Timer
}

func newWire(from net.Addr) *wire {
	w := &wire{from: from}
	w.more.L = &w.mu
	return w
}

// say is what the other end does.
func (w *wire) say(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unread = append(w.unread, b...)
	w.more.Signal()
}

// end says that nothing more comes.
func (w *wire) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.more.Signal()
}

func (w *wire) Read(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case w.closed:
			return 0, io.ErrClosedPipe
		case !w.deadline.IsZero() && !time.Now().Before(w.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(w.unread) > 0:
			n := copy(b, w.unread)
			w.unread = w.unread[n:]
			return n, nil
		case w.ended:
			return 0, io.EOF
		}
		w.more.Wait()
	}
}

func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.ended {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.alarm != nil {
		w.alarm.Stop()
	}
	w.more.Signal()
	return nil
}

func (w *wire) SetReadDeadline(at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = at
	switch {
	case at.IsZero():
		if w.alarm != nil {
			w.alarm.Stop()
		}
	case w.alarm == nil:
		w.alarm = time.AfterFunc(time.Until(at), w.ring)
	default:
		w.alarm.Reset(time.Until(at))
	}
	return nil
}

func (w *wire) ring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.more.Signal()
}

func (w *wire) SetDeadline(at time.Time) error   { return w.SetReadDeadline(at) }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2000} }
func (w *wire) RemoteAddr() net.Addr             { return w.from }
