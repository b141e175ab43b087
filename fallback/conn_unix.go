//go:build unix

package fallback

import "syscall"

const canTryWrite, canTryRead = true, true

// writeNow writes to a descriptor that does not block.
func writeNow(fd uintptr, b []byte) int {
	for {
		n, err := syscall.Write(int(fd), b)
		if err != syscall.EINTR {
			return max(n, 0)
		}
	}
}

// readNow reads from a descriptor that does not block. again says that there
// is nothing yet.
func readNow(fd uintptr, b []byte) (n int, again bool) {
	n, err := syscall.Read(int(fd), b)
	return max(n, 0), err == syscall.EAGAIN || err == syscall.EINTR
}
