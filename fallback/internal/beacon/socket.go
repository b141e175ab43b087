package beacon

import (
	"os"
	"syscall"
)

// control sets options of a socket.
func control(c syscall.RawConn, set func(handle) error) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = set(handle(fd)) }); err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt", failed)
}

// network is the name that package net has for UDP of one IP version.
func network(ipv6 bool) string {
	if ipv6 {
		return "udp6"
	}
	return "udp4"
}
