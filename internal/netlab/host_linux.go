package netlab

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Host is one host of a lab: a network namespace with a loopback interface
// and an Ethernet one.
type Host struct {
	lab    *Lab
	space  *space
	name   string
	number int // from 1; also the last byte of its MAC address
	addr   netip.Addr

	vanished bool
	loss     int     // percent of the packets in each direction
	refused  []*Host // whose packets do not reach this host
	wire     *wire   // nil: the cable is a veth pair
	ports    int     // besides its Ethernet interface
}

// Port is an interface of a host that leads to one other host.
type Port struct {
	Name string
	Addr netip.Addr
}

// Name returns the name that the host was given.
func (h *Host) Name() string { return h.name }

// Interface returns the name of the host's Ethernet interface.
func (h *Host) Interface() string { return "eth0" }

// Addr returns the host's IPv4 address.
func (h *Host) Addr() netip.Addr { return h.addr }

// Do runs f on a thread inside the host. See the package documentation for
// what that means for goroutines. Do calls of one host run one at a time. If
// f fails the test by FailNow, Do does not return either.
func (h *Host) Do(f func()) { h.space.do(f) }

// Command returns a command that runs a program inside the host. If it still
// runs after the cleanups that the test registered since [New], it is killed.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	inside := append([]string{"--net=" + h.space.path(), "--", name}, args...)
	return exec.CommandContext(h.lab.ctx, "nsenter", inside...)
}

// LinkDown pulls the host's cable: it keeps its interface and its addresses,
// but nothing goes in or out.
func (h *Host) LinkDown() {
	h.lab.t.Helper()
	h.lab.check(h.lab.bridge.run("ip link set %s down", h.port()))
}

// LinkUp plugs the cable in again.
func (h *Host) LinkUp() {
	h.lab.t.Helper()
	h.lab.check(h.lab.bridge.run("ip link set %s up", h.port()))
}

// SetAddr replaces the host's IPv4 address by another in 10.77.0.0/24.
func (h *Host) SetAddr(addr netip.Addr) {
	h.lab.t.Helper()
	if !subnet.Contains(addr) {
		h.lab.t.Fatalf("netlab: %v is not in %v", addr, subnet)
	}
	h.addr = addr
	h.lab.check(h.space.run("ip -4 address flush dev %s", h.Interface()))
	h.lab.check(h.space.run("ip address add %s/%d brd + dev %s", addr, subnet.Bits(), h.Interface()))
}

// IP runs the program ip with these words in the host.
func (h *Host) IP(words string) {
	h.lab.t.Helper()
	h.lab.check(h.space.run("ip %s", words))
}

// Loss drops that percentage of the packets to the host and of those from it,
// at random. Zero ends it.
func (h *Host) Loss(percent int) {
	h.lab.t.Helper()
	h.loss = percent
	h.lab.check(h.filter())
}

// Vanish removes the host from the network for good: no farewell, no FIN, no
// answer. Its processes go on and have lost their interface.
func (h *Host) Vanish() {
	h.lab.t.Helper()
	h.vanished = true
	h.lab.check(h.lab.bridge.run("ip link delete %s", h.port()))
}

// port is the name of the bridge's end of the host's cable.
func (h *Host) port() string { return fmt.Sprintf("port%d", h.number) }

// attach connects the host to the bridge.
func (h *Host) attach() error {
	// Without duplicate address detection, which takes a second or two, the
	// link-local address is usable at once.
	if err := h.space.set("ipv6/conf/default/accept_dad", "0"); err != nil {
		return err
	}
	if err := h.space.run("ip link set lo up"); err != nil {
		return err
	}
	err := h.lab.bridge.run("ip link add %s type veth peer name %s address %s netns %d",
		h.port(), h.Interface(), h.mac(), h.space.tid)
	if err != nil {
		return err
	}
	return h.plug()
}

// plug configures both ends of the host's cable.
func (h *Host) plug() error {
	err := h.lab.bridge.runAll(
		fmt.Sprintf("ip link set %s master br0 up", h.port()),
		fmt.Sprintf("tc qdisc add dev %s clsact", h.port()),
	)
	if err != nil {
		return err
	}
	err = h.space.runAll(
		fmt.Sprintf("ip address add %s/%d brd + dev %s", h.addr, subnet.Bits(), h.Interface()),
		fmt.Sprintf("ip link set %s up", h.Interface()),
	)
	if err != nil {
		return err
	}
	return h.awaitLinkLocal(h.Interface())
}

// awaitLinkLocal waits for the IPv6 address that the kernel gives an
// interface once it has noticed the cable. Where IPv6 is switched off there is
// none, which is for those to say who need it.
func (h *Host) awaitLinkLocal(name string) error {
	return awaitUsable(name, func(file string) (data []byte, err error) {
		h.space.do(func() { data, err = os.ReadFile(file) })
		return data, err
	})
}

// awaitUsable is awaitLinkLocal in the namespace where read reads.
func awaitUsable(name string, read func(file string) ([]byte, error)) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		table, err := read("/proc/thread-self/net/if_inet6")
		if err != nil || hasUsable(string(table), name) {
			return err
		}
	}
	return nil
}

// hasUsable tells whether a table of addresses has one of an interface that is
// not tentative any more: without duplicate address detection too that ends a
// little later than it begins.
func hasUsable(table, name string) bool {
	const tentative = 0x40 // linux/if_addr.h
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) == 6 && f[5] == name { // address, index, bits, scope, flags, name
			flags, err := strconv.ParseUint(f[4], 16, 32)
			return err == nil && flags&tentative == 0
		}
	}
	return false
}

// mac is the host's Ethernet address, by which partitions know it.
func (h *Host) mac() string { return fmt.Sprintf("02:77:00:00:00:%02x", h.number) }

// refuse drops what another host sends to this one.
func (h *Host) refuse(other *Host) {
	h.lab.t.Helper()
	h.refused = append(h.refused, other)
	h.lab.check(h.filter())
}
