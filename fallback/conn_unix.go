//go:build unix

package fallback

import "syscall"

const canTryWrite = true

// writeNow writes to a descriptor that does not block.
func writeNow(fd uintptr, b []byte) int {
	for {
		n, err := syscall.Write(int(fd), b)
		if err != syscall.EINTR {
			return max(n, 0)
		}
	}
}
