package hostile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Listener is what the attacker has the victim connect to.
type Listener struct {
	l        net.Listener
	accepted atomic.Int64
	open     atomic.Int64
	most     atomic.Int64
	hellos   atomic.Int64
	pingOKs  atomic.Int64
	bytes    atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	ended bool
}

// Behaviour is what a listener does with a connection. It ends when the
// connection is closed.
type Behaviour func(l *Listener, c net.Conn)

// Listen listens on the attacker's address.
func (s *Scene) Listen(b Behaviour) (*Listener, error) {
	return s.ListenOn(netip.AddrPortFrom(s.Addr, 0), b)
}

// ListenOn listens on an address of choice.
func (s *Scene) ListenOn(at netip.AddrPort, b Behaviour) (*Listener, error) {
	if !at.Addr().IsLoopback() {
		return nil, errors.New("hostile: not on loopback")
	}
	tcp, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, err
	}
	l := &Listener{l: tcp, conns: map[net.Conn]struct{}{}}
	s.keep(l)
	go l.serve(b)
	return l, nil
}

func (l *Listener) serve(b Behaviour) {
	for {
		c, err := l.l.Accept()
		if err != nil {
			return
		}
		if !l.add(c) {
			continue
		}
		go func() {
			b(l, c)
			l.drop(c)
		}()
	}
}

func (l *Listener) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		c.Close()
		return false
	}
	l.conns[c] = struct{}{}
	l.accepted.Add(1)
	l.most.Store(max(l.most.Load(), l.open.Add(1)))
	return true
}

func (l *Listener) drop(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Close()
	delete(l.conns, c)
	l.open.Add(-1)
}

// Close ends the listener and its connections.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for c := range l.conns {
		c.Close()
	}
	return l.l.Close()
}

// Addr is where the listener is.
func (l *Listener) Addr() netip.AddrPort { return l.l.Addr().(*net.TCPAddr).AddrPort() }

// Port is that of Addr.
func (l *Listener) Port() uint16 { return l.Addr().Port() }

// Accepted counts connections, ever.
func (l *Listener) Accepted() int { return int(l.accepted.Load()) }

// Most is the largest number of connections that were open at a time.
func (l *Listener) Most() int { return int(l.most.Load()) }

// Bytes counts what the victim has sent here.
func (l *Listener) Bytes() int { return int(l.bytes.Load()) }

// Hellos counts the HELLOs that the victim has said here.
func (l *Listener) Hellos() int { return int(l.hellos.Load()) }

// PingOKs counts the PING-OKs that the victim has sent here.
func (l *Listener) PingOKs() int { return int(l.pingOKs.Load()) }

// Contacted waits until the victim has connected so often.
func (l *Listener) Contacted(times int) error {
	return eventually("the victim connects", func() bool { return l.Accepted() >= times })
}

// Polite shakes hands as a node does, reads everything and answers nothing.
func Polite(l *Listener, c net.Conn) {
	c.Write(append(Greeting(1, "NULL"), Ready("ROUTER", nil)...))
	l.read(c)
}

// Deaf shakes hands and reads nothing after that. Its buffer is small, so
// that the victim feels it soon.
func Deaf(l *Listener, c net.Conn) {
	c.(*net.TCPConn).SetReadBuffer(4096)
	c.Write(append(Greeting(1, "NULL"), Ready("ROUTER", nil)...))
	l.untilClosed()
}

// Slowly is polite and reads so many bytes at a time, with a pause before each.
func Slowly(bytes int, pause time.Duration) Behaviour {
	return func(l *Listener, c net.Conn) {
		c.(*net.TCPConn).SetReadBuffer(2 * bytes)
		Polite(l, slowConn{c, bytes, pause})
	}
}

type slowConn struct {
	net.Conn
	most  int
	pause time.Duration
}

func (c slowConn) Read(p []byte) (int, error) {
	time.Sleep(c.pause)
	return c.Conn.Read(p[:min(len(p), c.most)])
}

// Mute accepts and neither reads nor writes.
func Mute(l *Listener, _ net.Conn) { l.untilClosed() }

// Rude closes at once.
func Rude(*Listener, net.Conn) {}

// Says writes the parts one after the other and reads until the victim closes.
func Says(parts ...[]byte) Behaviour {
	return func(l *Listener, c net.Conn) {
		for _, p := range parts {
			if _, err := c.Write(p); err != nil {
				return
			}
		}
		l.readOn(c)
	}
}

// Floods shakes hands and then writes the same for as long as the victim
// takes it, up to so many times, without reading.
func Floods(b []byte, times int) Behaviour {
	return func(l *Listener, c net.Conn) {
		c.Write(append(Greeting(1, "NULL"), Ready("ROUTER", nil)...))
		c.SetWriteDeadline(time.Now().Add(patience))
		for range times {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
		l.untilClosed()
	}
}

func (l *Listener) untilClosed() {
	for {
		l.mu.Lock()
		ended := l.ended
		l.mu.Unlock()
		if ended {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// readOn counts bytes until the connection ends.
func (l *Listener) readOn(c net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		l.bytes.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// read takes the victim's stream apart and counts what is of interest.
func (l *Listener) read(c net.Conn) {
	r := bufio.NewReaderSize(io.TeeReader(c, counter{&l.bytes}), 64<<10)
	if _, err := r.Discard(64); err != nil {
		return
	}
	for first := true; ; {
		flags, body, err := readFrame(r)
		if err != nil {
			return
		}
		if first && flags&Command == 0 && len(body) >= 6 {
			l.count(body[2])
		}
		first = flags&More == 0
	}
}

func (l *Listener) count(kind byte) {
	switch kind {
	case KindHello:
		l.hellos.Add(1)
	case KindPingOK:
		l.pingOKs.Add(1)
	}
}

func readFrame(r *bufio.Reader) (flags byte, body []byte, err error) {
	if flags, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	header := make([]byte, 1)
	if flags&Long != 0 {
		header = make([]byte, 8)
	}
	if _, err = io.ReadFull(r, header); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint64(append(make([]byte, 8-len(header)), header...))
	if size > 128<<20 {
		return 0, nil, errors.New("hostile: the victim sends a frame that is too large")
	}
	body = make([]byte, size)
	_, err = io.ReadFull(r, body)
	return flags, body, err
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}
