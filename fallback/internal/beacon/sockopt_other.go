//go:build !unix && !windows

package beacon

import (
	"errors"
	"net/netip"

	"github.com/gozyre/zyre/internal/netif"
)

// handle is the system's name of a socket.
type handle = uintptr

// shareAddress does nothing: a socket here either can share its port or not.
func shareAddress(handle) error { return nil }

func multicastFrom(handle, netif.Link) error { return errors.ErrUnsupported }

func joinGroup(handle, netip.Addr, netif.Link) error { return errors.ErrUnsupported }

func isMember(error) bool { return false }
