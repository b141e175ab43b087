package fallback

import (
	"syscall"
	"unsafe"
)

// unacknowledged returns how many bytes the kernel holds of those that were
// written to a descriptor: the other side has not acknowledged them.
func unacknowledged(fd uintptr) int {
	var n int32
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	if errno != 0 {
		return -1
	}
	return int(n)
}
