//go:build !linux

package netif

import "net"

func addresses(all []net.Interface) (map[int][]address, error) { return portableAddresses(all) }
