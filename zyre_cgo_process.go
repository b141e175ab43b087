//go:build cgo && !purego

package zyre

/*
#cgo pkg-config: libzyre libczmq libzmq
#include <stdlib.h>
#include "zyre_cgo.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// initLibrary prepares czmq once for the process.
var initLibrary = sync.OnceValue(func() error {
	fd, err := czmqLog.open()
	if err != nil {
		return fmt.Errorf("zyre: pipe for the log of czmq: %w", err)
	}
	group := os.Getenv("ZSYS_IPV4_MCAST_ADDRESS")
	usable := isIPv4Multicast(group)
	if C.zg_init(C.int(fd), cBool(!usable)) != 0 {
		return errors.New("zyre: czmq's log could not be redirected")
	}
	if usable {
		process.fixedMulticast = group
	}
	return nil
})

func isIPv4Multicast(group string) bool {
	addr, err := netip.ParseAddr(group)
	return err == nil && addr.Is4() && addr.IsMulticast()
}

func engineVersion() string {
	v := int(C.zg_version())
	return fmt.Sprintf("libzyre %d.%d.%d", v/10000, v/100%100, v%100)
}

func czmqHasDrafts() bool { return C.zg_czmq_drafts() != 0 }
func zyreHasDrafts() bool { return C.zg_zyre_drafts() != 0 }
func zmqHasCurve() bool   { return C.zg_has_curve() != 0 }

func cBool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// network is what czmq has one of for the whole process: nodes read it when
// they start, those with IPv6 all the time, and the others also whenever a
// beacon cannot be sent.
type network struct {
	iface     string // name or address, "*", or ""
	ipv6      bool
	ipv6Addr  string
	multicast string
}

// process guards the network of czmq.
var process networkOfProcess

type networkOfProcess struct {
	mu             sync.Mutex
	current        network
	runningIPv6    int
	fixedMulticast string // IPv4 group from the environment, which a czmq without drafts cannot change
}

// create runs make, which creates the sockets of a node, with the kind of
// socket that the node needs.
func createSockets(ipv6 bool, create func()) {
	process.mu.Lock()
	defer process.mu.Unlock()
	if ipv6 && !process.current.ipv6 {
		C.zg_set_ipv6(1)
		defer C.zg_set_ipv6(0)
	}
	create()
}

// startOn runs start, in which a node reads the network, with net in place.
// Two nodes that start at the same time would else both get the settings of
// the second. A node with IPv6 goes on reading them: while one runs, they
// must stay as they are.
func startOn(net network, start func() error) error {
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.runningIPv6 > 0 && net != process.current {
		return fmt.Errorf("zyre: libzyre has one network setting for the whole process, "+
			"and a node that uses IPv6 runs on interface %q; this one needs %q: %w",
			process.current.iface, net.iface, errors.ErrUnsupported)
	}
	before := process.current
	process.use(net)
	if err := start(); err != nil {
		process.use(before)
		return err
	}
	if net.ipv6 {
		process.runningIPv6++
	}
	return nil
}

// leaveNetwork is the end of a node that startOn has started.
func leaveNetwork(net network) {
	if !net.ipv6 {
		return
	}
	process.mu.Lock()
	defer process.mu.Unlock()
	process.runningIPv6--
}

// use puts a network in place. Holding mu.
func (p *networkOfProcess) use(net network) {
	p.current = net
	var free cStrings
	defer free.all()
	// Allocated by C: the struct holds pointers, which Go memory must not
	// hand over.
	c := (*C.zg_network)(C.calloc(1, C.sizeof_zg_network))
	defer C.free(unsafe.Pointer(c))
	c._interface = free.string(net.iface)
	c.ipv6 = cBool(net.ipv6)
	c.ipv6_address = free.string(net.ipv6Addr)
	c.multicast = free.string(net.multicast)
	C.zg_set_network(c)
}

// checkUDPPort reports whether beacons can be received on a port. libzyre
// would try again for ever, and never tell.
func checkUDPPort(port int, ipv6 bool) error {
	if reason := C.zg_check_udp_port(C.int(port), cBool(ipv6)); reason != 0 {
		return fmt.Errorf("zyre: UDP port %d for beacons: %w", port, syscall.Errno(reason))
	}
	return nil
}

// cStrings are C copies of strings that a call needs.
type cStrings []*C.char

func (c *cStrings) string(s string) *C.char {
	p := C.CString(s)
	*c = append(*c, p)
	return p
}

func (c *cStrings) all() {
	for _, p := range *c {
		C.free(unsafe.Pointer(p))
	}
}
