package beacon

import (
	"errors"
	"syscall"
	"unsafe"
)

// handle is the system's name of a socket.
type handle = syscall.Handle

// shareAddress lets sockets of other programs have the same address and port.
func shareAddress(fd handle) error {
	return syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
}

// joinGroup6 does what package syscall lacks on Windows.
func joinGroup6(fd handle, mreq *syscall.IPv6Mreq) error {
	return syscall.Setsockopt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_JOIN_GROUP,
		(*byte)(unsafe.Pointer(mreq)), int32(unsafe.Sizeof(*mreq)))
}

// isMember reports whether joining failed because it was done before. Windows
// does not document its answer to that; each of these fits.
func isMember(err error) bool {
	const invalidArgument, addressInUse = syscall.Errno(10022), syscall.Errno(10048)
	return errors.Is(err, invalidArgument) || errors.Is(err, addressInUse)
}
