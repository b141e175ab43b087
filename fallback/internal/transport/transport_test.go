package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestSplitTCP(t *testing.T) {
	for _, c := range []struct {
		endpoint, host string
		port           uint16
		ok             bool
	}{
		{"tcp://127.0.0.1:5670", "127.0.0.1", 5670, true},
		{"tcp://127.0.0.1:*", "127.0.0.1", 0, true},
		{"tcp://*:5670", "*", 5670, true},
		{"tcp://host.example:65535", "host.example", 65535, true},
		{"tcp://::1:5670", "::1", 5670, true},
		{"tcp://[::1]:5670", "::1", 5670, true},
		{"tcp://fe80::1%eth0:5670", "fe80::1%eth0", 5670, true},
		{"tcp://127.0.0.1:65536", "", 0, false},
		{"tcp://127.0.0.1:-1", "", 0, false},
		{"tcp://127.0.0.1:+1", "", 0, false},
		{"tcp://127.0.0.1:", "", 0, false},
		{"tcp://127.0.0.1", "", 0, false},
		{"tcp://:5670", "", 0, false},
		{"tcp://[::1]", "", 0, false},
		{"udp://127.0.0.1:5670", "", 0, false},
		{"127.0.0.1:5670", "", 0, false},
		{"", "", 0, false},
	} {
		host, port, err := SplitTCP(c.endpoint)
		if host != c.host || port != c.port || (err == nil) != c.ok {
			t.Errorf("%q: %q, %d, %v", c.endpoint, host, port, err)
		}
		if err != nil && !errors.Is(err, ErrEndpoint) {
			t.Errorf("%q: %v is no ErrEndpoint", c.endpoint, err)
		}
	}
}

func TestTCPHasNeitherZoneNorBrackets(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:9":      "tcp://127.0.0.1:9",
		"[fe80::1%eth0]:9": "tcp://fe80::1:9",
	} {
		got := TCP(netip.MustParseAddrPort(addr))
		if got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
		if _, _, err := SplitTCP(got); err != nil {
			t.Error(err)
		}
	}
}

// bad are endpoints that are none.
var bad = []string{
	"", "tcp", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:x", "ipc://", "inproc://", "udp://127.0.0.1:1", "pgm://x", "127.0.0.1:1",
}

func TestBadEndpoints(t *testing.T) {
	for _, endpoint := range bad {
		if err := Check(endpoint); !errors.Is(err, ErrEndpoint) {
			t.Errorf("Check(%q): %v", endpoint, err)
		}
		if l, bound, err := Listen(t.Context(), endpoint); !errors.Is(err, ErrEndpoint) || l != nil || bound != "" {
			t.Errorf("Listen(%q): %v, %q, %v", endpoint, l, bound, err)
		}
		if c, err := Dial(t.Context(), endpoint); !errors.Is(err, ErrEndpoint) || c != nil {
			t.Errorf("Dial(%q): %v, %v", endpoint, c, err)
		}
	}
}

// endpoints returns one of each kind that this platform has.
func endpoints(t *testing.T) []string {
	all := []string{"tcp://127.0.0.1:*", "inproc://" + t.Name(), "ipc://" + socketPath(t)}
	if runtime.GOOS == "linux" {
		all = append(all, fmt.Sprintf("ipc://@%s-%d", t.Name(), os.Getpid()))
	}
	return all
}

// socketPath returns a path that is short enough for a socket everywhere.
func socketPath(t *testing.T) string {
	dir, err := os.MkdirTemp("", "zyre") //nolint:usetesting // the path of a socket may have 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func listen(t *testing.T, endpoint string) (net.Listener, string) {
	t.Helper()
	l, bound, err := Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, bound
}

// join returns both ends of a connection to a listener.
func join(t *testing.T, l net.Listener, bound string) (near, far net.Conn) {
	t.Helper()
	accepted := make(chan error, 1)
	go func() {
		var err error
		far, err = l.Accept()
		accepted <- err
	}()
	near, err := Dial(t.Context(), bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

func TestEveryKind(t *testing.T) {
	for _, endpoint := range endpoints(t) {
		scheme, _, _ := strings.Cut(endpoint, ":")
		t.Run(scheme, func(t *testing.T) {
			l, bound := listen(t, endpoint)
			if strings.Contains(bound, "*") || scheme != "tcp" && bound != endpoint {
				t.Errorf("bound to %s", bound)
			}
			near, far := join(t, l, bound)
			exchange(t, near, far)
			if _, _, err := Listen(t.Context(), bound); !errors.Is(err, syscall.EADDRINUSE) && runtime.GOOS != "windows" || err == nil {
				t.Errorf("bound twice: %v", err)
			}
			l.Close()
			if _, err := Dial(t.Context(), bound); err == nil {
				t.Error("a closed listener takes connections")
			}
			exchange(t, near, far) // what was accepted lives on
			again, same := listen(t, bound)
			if same != bound {
				t.Errorf("bound again to %s", same)
			}
			near, far = join(t, again, bound)
			exchange(t, near, far)
		})
	}
}

// exchange lets both ends write before either reads, as ZMTP does.
func exchange(t *testing.T, a, b net.Conn) {
	t.Helper()
	for _, c := range []net.Conn{a, b} {
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []net.Conn{a, b} {
		got := make([]byte, 5)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
			t.Fatal(string(got), err)
		}
	}
}

func TestDialBeforeBind(t *testing.T) {
	for _, endpoint := range endpoints(t) {
		if strings.HasPrefix(endpoint, "tcp") {
			l, bound := listen(t, endpoint)
			l.Close()
			endpoint = bound
		}
		if c, err := Dial(t.Context(), endpoint); err == nil {
			c.Close()
			t.Errorf("%s answers though nobody has bound it", endpoint)
		}
	}
}

func TestCanceledDial(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, endpoint := range endpoints(t) {
		_, bound := listen(t, endpoint)
		// Nobody accepts; a kernel may do so by itself.
		if c, err := Dial(ctx, bound); err == nil {
			c.Close()
			t.Errorf("%s: no error", endpoint)
		}
	}
}

func TestStaleSocket(t *testing.T) {
	path := socketPath(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Skip("no sockets of the file system: ", err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	l, bound := listen(t, "ipc://"+path)
	near, far := join(t, l, bound)
	exchange(t, near, far)
	l.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestOtherFilesStay(t *testing.T) {
	path := socketPath(t)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Listen(t.Context(), "ipc://"+path); err == nil {
		t.Error("bound to a file")
	}
	if got, err := os.ReadFile(path); string(got) != "precious" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestInprocCloseWhileDialling(t *testing.T) {
	l, bound := listen(t, "inproc://"+t.Name())
	var dials sync.WaitGroup
	started := make(chan struct{}, 10)
	for range cap(started) {
		dials.Go(func() {
			started <- struct{}{}
			if c, err := Dial(context.Background(), bound); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Error(c, err)
			}
		})
	}
	for range cap(started) {
		<-started
	}
	l.Close()
	l.Close()
	dials.Wait()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestInprocDialThatNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, bound := listen(t, "inproc://"+t.Name())
		start := time.Now()
		c, err := Dial(t.Context(), bound)
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != DialTimeout {
			t.Errorf("%v, %v after %v", c, err, time.Since(start))
		}
	})
}
