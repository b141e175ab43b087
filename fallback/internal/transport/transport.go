// Package transport opens the endpoints of ZeroMQ: tcp://address:port,
// ipc://path and inproc://name. An address of IPv6 is written without
// brackets, as ZRE does, and accepted with them.
package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrEndpoint is wrapped by the errors of endpoints that cannot be read.
var ErrEndpoint = errors.New("not an endpoint")

// DialTimeout bounds a dial that nobody answers.
const DialTimeout = 5 * time.Second

// TCP returns the endpoint of an address, without its zone, which means
// nothing to another host.
func TCP(a netip.AddrPort) string {
	return "tcp://" + a.Addr().WithZone("").String() + ":" + strconv.Itoa(int(a.Port()))
}

// SplitTCP cuts a tcp endpoint at its last colon. A port of "*" is 0.
func SplitTCP(endpoint string) (host string, port uint16, err error) {
	rest, ok := strings.CutPrefix(endpoint, "tcp://")
	colon := strings.LastIndexByte(rest, ':')
	if !ok || colon <= 0 {
		return "", 0, fmt.Errorf("%w: %q is not of the form tcp://address:port", ErrEndpoint, endpoint)
	}
	if rest[colon+1:] != "*" {
		n, err := strconv.ParseUint(rest[colon+1:], 10, 16)
		if err != nil {
			return "", 0, fmt.Errorf("%w: %q has no port of 1 to 65535", ErrEndpoint, endpoint)
		}
		port = uint16(n)
	}
	return strings.TrimSuffix(strings.TrimPrefix(rest[:colon], "["), "]"), port, nil
}

// Check tells whether an endpoint has a form that can be opened.
func Check(endpoint string) error {
	scheme, rest, _ := strings.Cut(endpoint, "://")
	switch {
	case rest == "":
	case scheme == "tcp":
		_, _, err := SplitTCP(endpoint)
		return err
	case scheme == "ipc", scheme == "inproc":
		return nil
	}
	return fmt.Errorf("%w: %q is none of tcp://address:port, ipc://path and inproc://name", ErrEndpoint, endpoint)
}

// Dial connects to an endpoint.
func Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	if err := Check(endpoint); err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: DialTimeout, KeepAlive: -1}
	scheme, rest, _ := strings.Cut(endpoint, "://")
	switch scheme {
	case "ipc":
		return d.DialContext(ctx, "unix", rest)
	case "inproc":
		return inprocs.dial(ctx, rest)
	}
	host, port, err := SplitTCP(endpoint)
	if err != nil {
		return nil, err
	}
	return d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
}

// Listen binds to an endpoint and returns it with the address and port that
// were chosen where it left them open: "*" is every address, or any port.
func Listen(ctx context.Context, endpoint string) (l net.Listener, bound string, err error) {
	if err := Check(endpoint); err != nil {
		return nil, "", err
	}
	config := net.ListenConfig{KeepAlive: -1}
	scheme, rest, _ := strings.Cut(endpoint, "://")
	switch scheme {
	case "ipc":
		removeStale(rest)
		l, err = config.Listen(ctx, "unix", rest)
		return l, endpoint, err
	case "inproc":
		l, err = inprocs.listen(rest)
		return l, endpoint, err
	}
	host, port, err := SplitTCP(endpoint)
	if err != nil {
		return nil, "", err
	}
	if host == "*" {
		host = ""
	}
	l, err = config.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return nil, "", err
	}
	return l, TCP(l.Addr().(*net.TCPAddr).AddrPort()), nil
}

// removeStale removes the socket that a process left behind which was
// killed, as libzmq does: nobody listens on it.
func removeStale(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	c, err := net.DialTimeout("unix", path, DialTimeout)
	if err == nil {
		c.Close()
	} else if Refused(err) {
		os.Remove(path)
	}
}

// Refused tells of the error of a dial whether nobody listens. Windows has a
// number of its own for it, which syscall.ECONNREFUSED is not.
func Refused(err error) bool {
	const windows = syscall.Errno(10061)
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, windows)
}
