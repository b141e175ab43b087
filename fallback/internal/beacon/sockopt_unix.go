//go:build unix

package beacon

import (
	"errors"
	"syscall"
)

// handle is the system's name of a socket.
type handle = int

// shareAddress lets sockets of other programs have the same address and port.
// Both options are needed to live beside libzyre and Pyre, which set both.
func shareAddress(fd handle) error {
	err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil && reusePort != 0 {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, reusePort, 1)
	}
	return err
}

func joinGroup6(fd handle, mreq *syscall.IPv6Mreq) error {
	return syscall.SetsockoptIPv6Mreq(fd, syscall.IPPROTO_IPV6, syscall.IPV6_JOIN_GROUP, mreq)
}

// isMember reports whether joining failed because it was done before.
func isMember(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
