//go:build unix && !solaris && !(linux && (386 || amd64 || arm))

package beacon

import "syscall"

const reusePort = syscall.SO_REUSEPORT
