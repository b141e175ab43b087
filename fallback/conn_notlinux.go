//go:build !linux

package fallback

// unacknowledged would tell how many written bytes the kernel still holds.
func unacknowledged(uintptr) int { return -1 }
