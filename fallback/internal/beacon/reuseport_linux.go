//go:build linux && (386 || amd64 || arm)

package beacon

// reusePort is SO_REUSEPORT, which came to Linux after package syscall was
// frozen for these architectures.
const reusePort = 0xf
