package transport

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// inprocs are the inproc endpoints that are bound in this process.
var inprocs = registry{names: map[string]*inproc{}}

type registry struct {
	mu    sync.Mutex
	names map[string]*inproc
}

// inproc is a listener inside the process.
type inproc struct {
	name   string
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (r *registry) listen(name string) (net.Listener, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names[name] != nil {
		return nil, &net.OpError{Op: "listen", Net: "inproc", Addr: inprocAddr(name), Err: syscall.EADDRINUSE}
	}
	l := &inproc{name: name, conns: make(chan net.Conn), closed: make(chan struct{})}
	r.names[name] = l
	return l, nil
}

func (r *registry) dial(ctx context.Context, name string) (net.Conn, error) {
	r.mu.Lock()
	l := r.names[name]
	r.mu.Unlock()
	err := error(syscall.ECONNREFUSED)
	if l != nil {
		var near net.Conn
		if near, err = l.connect(ctx); err == nil {
			return near, nil
		}
	}
	return nil, &net.OpError{Op: "dial", Net: "inproc", Addr: inprocAddr(name), Err: err}
}

// connect waits until the listener takes a connection.
func (l *inproc) connect(ctx context.Context) (net.Conn, error) {
	near, far := newPipe(l.Addr())
	timeout := time.NewTimer(DialTimeout)
	defer timeout.Stop()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, syscall.ECONNREFUSED
	case <-timeout.C:
		return nil, os.ErrDeadlineExceeded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *inproc) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "inproc", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

func (l *inproc) Close() error {
	l.once.Do(func() {
		inprocs.mu.Lock()
		delete(inprocs.names, l.name)
		inprocs.mu.Unlock()
		close(l.closed)
	})
	return nil
}

func (l *inproc) Addr() net.Addr { return inprocAddr(l.name) }

type inprocAddr string

func (inprocAddr) Network() string  { return "inproc" }
func (a inprocAddr) String() string { return string(a) }
