//go:build cgo && !purego

package zyre

import (
	"os"
	"strconv"
	"syscall"
)

// sockets counts the sockets of this process at a TCP port: those that listen
// there, and the connections that came in by them. It reports false where that
// cannot be told.
func sockets(port int) (listening, connected int, ok bool) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, 0, false
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, 0, false
	}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || localPort(fd) != port {
			continue
		}
		if on, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); err == nil && on != 0 {
			listening++
		} else if _, err := syscall.Getpeername(fd); err == nil {
			connected++
		}
	}
	return listening, connected, true
}

// localPort returns the port of a socket, or -1.
func localPort(fd int) int {
	address, _ := syscall.Getsockname(fd)
	switch a := address.(type) {
	case *syscall.SockaddrInet4:
		return a.Port
	case *syscall.SockaddrInet6:
		return a.Port
	}
	return -1
}
