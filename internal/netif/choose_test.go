package netif

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gozyre/zyre/internal/rule"
)

const (
	ethernet = net.FlagUp | net.FlagBroadcast | net.FlagMulticast | net.FlagRunning
	loop     = net.FlagUp | net.FlagLoopback | net.FlagRunning
	tunnel   = net.FlagUp | net.FlagPointToPoint | net.FlagMulticast | net.FlagRunning
	down     = net.FlagBroadcast | net.FlagMulticast
)

// host describes a machine: its interfaces are numbered from 1.
func host(ifaces ...iface) []iface {
	for i := range ifaces {
		ifaces[i].index = i + 1
	}
	return ifaces
}

// nic describes an interface; "10.0.0.1/24>10.0.0.9" has a broadcast address
// of its own.
func nic(name string, flags net.Flags, addrs ...string) iface {
	i := iface{name: name, flags: flags}
	for _, a := range addrs {
		prefix, broadcast, found := strings.Cut(a, ">")
		parsed := address{prefix: netip.MustParsePrefix(prefix)}
		if found {
			parsed.broadcast = netip.MustParseAddr(broadcast)
		}
		i.addrs = append(i.addrs, parsed)
	}
	return i
}

var (
	lo      = nic("lo", loop, "127.0.0.1/8", "::1/128")
	eth0    = nic("eth0", ethernet, "192.168.1.7/24", "2001:db8::7/64", "fe80::7/64")
	wlan0   = nic("wlan0", ethernet, "10.1.2.3/16", "fe80::3/64")
	docker0 = nic("docker0", ethernet, "172.17.0.1/16", "fe80::17/64")
	dockerN = nic("br-0123456789ab", ethernet, "172.18.0.1/16")
	vpn     = nic("tun0", tunnel, "10.8.0.2/32")
	broken  = nic("eth1", down, "192.168.9.9/24")
)

func describe(links []Link) string {
	s := make([]string, len(links))
	for i, l := range links {
		s[i] = l.String()
	}
	return strings.Join(s, ", ")
}

func TestChoose(t *testing.T) {
	laptop := host(lo, eth0, wlan0, docker0, vpn, broken)
	tests := []struct {
		name   string
		ifaces []iface
		s      Selection
		want   string
	}{
		{"one network", host(lo, eth0), Selection{}, "eth0 192.168.1.7"},
		{"first of two", laptop, Selection{}, "eth0 192.168.1.7"},
		{"docker comes first", host(lo, docker0, dockerN, eth0), Selection{}, "eth0 192.168.1.7"},
		{"docker alone", host(lo, docker0, dockerN), Selection{}, "lo 127.0.0.1"},
		{"br- of a person", host(lo, nic("br-lan", ethernet, "10.0.0.1/24")), Selection{}, "br-lan 10.0.0.1"},
		{"br- of twelve letters", host(lo, nic("br-livingrooms", ethernet, "10.0.0.1/24")), Selection{}, "br-livingrooms 10.0.0.1"},
		{"no network", host(lo), Selection{}, "lo 127.0.0.1"},
		{"only down", host(lo, broken), Selection{}, "lo 127.0.0.1"},
		{"VPN alone", host(lo, vpn), Selection{}, "lo 127.0.0.1"},
		{"IPv6 only, IPv4 wanted", host(lo, nic("eth0", ethernet, "fe80::1/64")), Selection{}, "lo 127.0.0.1"},
		{"virtual address last", host(nic("eth0", ethernet, "10.0.0.99/32", "10.0.0.1/24")), Selection{}, "eth0 10.0.0.1"},

		{"IPv6", laptop, Selection{IPv6: true}, "eth0 fe80::7"},
		{"IPv6 only", host(lo, nic("eth0", ethernet, "fe80::1/64")), Selection{IPv6: true}, "eth0 fe80::1"},
		{"IPv6 without network", host(lo), Selection{IPv6: true}, "lo ::1"},
		{"IPv6 address picks among several", laptop, Selection{IPv6: true, IPv6Addr: "2001:db8::7"}, "eth0 2001:db8::7"},
		{"IPv6 address picks the interface", laptop, Selection{IPv6: true, IPv6Addr: "fe80::3"}, "wlan0 fe80::3"},
		{"IPv6 address with zone", laptop, Selection{IPv6: true, IPv6Addr: "fe80::3%wlan0"}, "wlan0 fe80::3"},
		{"IPv6 address of another interface", laptop, Selection{Names: []string{"wlan0"}, IPv6: true, IPv6Addr: "2001:db8::7"}, "wlan0 fe80::3"},

		{"name", laptop, Selection{Names: []string{"wlan0"}}, "wlan0 10.1.2.3"},
		{"name of lo", laptop, Selection{Names: []string{"lo"}}, "lo 127.0.0.1"},
		{"lo under another name", host(nic("lo0", loop, "127.0.0.1/8")), Selection{Names: []string{"lo"}}, "lo0 127.0.0.1"},
		{"lo with multicast", host(nic("lo0", loop|net.FlagMulticast, "127.0.0.1/8", "::1/128", "fe80::1/64")), Selection{Names: []string{"lo"}, IPv6: true}, "lo0 fe80::1"},
		{"name of docker", laptop, Selection{Names: []string{"docker0"}}, "docker0 172.17.0.1"},
		{"name of a VPN", laptop, Selection{Names: []string{"tun0"}}, "tun0 10.8.0.2"},
		{"two names", laptop, Selection{Names: []string{"wlan0", "lo"}}, "wlan0 10.1.2.3, lo 127.0.0.1"},
		{"one twice", laptop, Selection{Names: []string{"eth0", "192.168.1.7"}}, "eth0 192.168.1.7"},
		{"address", laptop, Selection{Names: []string{"10.1.2.3"}}, "wlan0 10.1.2.3"},
		{"second address", host(nic("eth0", ethernet, "10.0.0.1/24", "10.0.0.2/24")), Selection{Names: []string{"10.0.0.2"}}, "eth0 10.0.0.2"},
		{"mapped address", laptop, Selection{Names: []string{"::ffff:10.1.2.3"}}, "wlan0 10.1.2.3"},
		{"IPv6 address by name", laptop, Selection{Names: []string{"2001:db8::7"}, IPv6: true}, "eth0 2001:db8::7"},

		{"number 0", laptop, Selection{Names: []string{"0"}}, "eth0 192.168.1.7"},
		{"number 1", laptop, Selection{Names: []string{"1"}}, "wlan0 10.1.2.3"},
		{"number counts docker", laptop, Selection{Names: []string{"2"}}, "docker0 172.17.0.1"},
		{"number counts IPv4 first", laptop, Selection{Names: []string{"3"}, IPv6: true}, "eth0 2001:db8::7"},
		{"interface called 1", host(eth0, nic("1", ethernet, "10.9.9.9/24")), Selection{Names: []string{"1"}}, "1 10.9.9.9"},

		{"all", laptop, Selection{Names: []string{"*"}}, "eth0 192.168.1.7, wlan0 10.1.2.3"},
		{"all IPv6", laptop, Selection{Names: []string{"*"}, IPv6: true}, "eth0 fe80::7, wlan0 fe80::3"},
		{"all, with two networks on one", host(nic("eth0", ethernet, "10.0.0.1/24", "10.0.0.2/24", "10.0.1.1/24", "10.0.0.9/32")), Selection{Names: []string{"*"}}, "eth0 10.0.0.1, eth0 10.0.1.1"},
		{"all but only docker", host(lo, docker0, dockerN), Selection{Names: []string{"*"}}, "docker0 172.17.0.1, br-0123456789ab 172.18.0.1"},
		{"all but only loopback", host(lo), Selection{Names: []string{"*"}}, "lo 127.0.0.1"},

		{"both", laptop, Selection{DualStack: true}, "eth0 192.168.1.7, eth0 fe80::7"},
		{"both, each elsewhere", host(lo, nic("eth0", ethernet, "fe80::1/64"), nic("eth1", ethernet, "10.0.0.1/24")), Selection{DualStack: true}, "eth1 10.0.0.1, eth0 fe80::1"},
		{"both, but IPv4 only", host(lo, nic("eth0", ethernet, "10.0.0.1/24")), Selection{DualStack: true}, "eth0 10.0.0.1"},
		{"both, but IPv6 only", host(lo, nic("eth0", ethernet, "fe80::1/64")), Selection{DualStack: true}, "eth0 fe80::1"},
		{"both without network", host(lo, docker0), Selection{DualStack: true}, "lo 127.0.0.1"},
		{"both, IPv6 address among several", laptop, Selection{DualStack: true, IPv6Addr: "fe80::3"}, "eth0 192.168.1.7, wlan0 fe80::3"},
		{"both of all", laptop, Selection{Names: []string{"*"}, DualStack: true}, "eth0 192.168.1.7, wlan0 10.1.2.3, eth0 fe80::7, wlan0 fe80::3"},
		{"both of one name", laptop, Selection{Names: []string{"wlan0"}, DualStack: true}, "wlan0 10.1.2.3, wlan0 fe80::3"},
		{"both of two names", laptop, Selection{Names: []string{"wlan0", "tun0"}, DualStack: true}, "wlan0 10.1.2.3, tun0 10.8.0.2, wlan0 fe80::3"},
		{"both of lo", laptop, Selection{Names: []string{"lo"}, DualStack: true}, "lo 127.0.0.1"},
		{"an address of each", laptop, Selection{Names: []string{"2001:db8::7", "10.1.2.3"}, DualStack: true}, "wlan0 10.1.2.3, eth0 2001:db8::7"},
		{"one address of both", laptop, Selection{Names: []string{"fe80::3"}, DualStack: true}, "wlan0 fe80::3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			links, why, err := tt.s.choose(tt.ifaces)
			if err != nil || describe(links) != tt.want {
				t.Fatalf("got %s, %v; want %s", describe(links), err, tt.want)
			}
			if why == "" {
				t.Error("no reason given")
			}
		})
	}
}

func TestChooseRefuses(t *testing.T) {
	laptop := host(lo, eth0, broken, nic("wlan0", ethernet))
	tests := []struct {
		name   string
		ifaces []iface
		s      Selection
		want   string
	}{
		{"unknown", laptop, Selection{Names: []string{"eth7"}}, `"eth7" does not exist; usable: eth0 192.168.1.7, lo 127.0.0.1`},
		{"one of two unknown", laptop, Selection{Names: []string{"eth0", "eth7"}}, `"eth7" does not exist`},
		{"down", laptop, Selection{Names: []string{"eth1"}}, `"eth1" is down`},
		{"without address", laptop, Selection{Names: []string{"wlan0"}}, `"wlan0" has no IPv4 address`},
		{"address of nobody", laptop, Selection{Names: []string{"1.2.3.4"}}, "1.2.3.4 is not an address of any interface"},
		{"address of one that is down", laptop, Selection{Names: []string{"192.168.9.9"}}, `192.168.9.9, an address of "eth1", which is down`},
		{"other family", laptop, Selection{Names: []string{"fe80::7"}}, "fe80::7 is not an IPv4 address"},
		{"lo without multicast", laptop, Selection{Names: []string{"lo"}, IPv6: true}, `"lo" cannot multicast`},
		{"::1 without multicast", laptop, Selection{Names: []string{"::1"}, IPv6: true}, `::1, an address of "lo", which cannot multicast`},
		{"zone of another", laptop, Selection{Names: []string{"fe80::7%wlan0"}, IPv6: true}, "fe80::7%wlan0 is not an address"},
		{"number too high", laptop, Selection{Names: []string{"9"}}, "interface number 9 does not exist, there are 3"},
		{"number of other family", laptop, Selection{Names: []string{"1"}}, "interface number 1, eth0 2001:db8::7, has no IPv4 address"},
		{"IPv6Addr of nobody", laptop, Selection{IPv6: true, IPv6Addr: "2001:db8::1"}, "2001:db8::1 is not an address"},
		{"IPv6Addr is none", laptop, Selection{IPv6: true, IPv6Addr: "eth0"}, `"eth0" is not an IPv6 address`},
		{"nothing at all", nil, Selection{}, "none is usable"},
		{"nothing for all", nil, Selection{Names: []string{"*"}}, `"*" finds no interface that is up`},
		{"docker without loopback", host(docker0), Selection{}, "usable: docker0 172.17.0.1"},
		{"neither", laptop, Selection{Names: []string{"wlan0"}, DualStack: true}, `"wlan0" has no IP address; usable: eth0 192.168.1.7, eth0 fe80::7, lo 127.0.0.1, lo ::1`},
		{"down for both", laptop, Selection{Names: []string{"eth1"}, DualStack: true}, `"eth1" is down`},
		{"no lo", host(eth0), Selection{Names: []string{"lo"}}, `"lo" does not exist`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			links, _, err := tt.s.choose(tt.ifaces)
			if !errors.Is(err, rule.ErrNoInterface) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %s, %v; want %q", describe(links), err, tt.want)
			}
		})
	}
}

func TestRechoose(t *testing.T) {
	onEth0 := host(lo, eth0)
	tests := []struct {
		name        string
		s           Selection
		before, now []iface
		want        string // "": an error
	}{
		{"nothing changed", Selection{}, onEth0, onEth0, "eth0 192.168.1.7"},
		{"stays though an earlier one appears", Selection{}, []iface{lo, broken, eth0}, []iface{lo, wlan0, eth0}, "eth0 192.168.1.7"},
		{"moves when its own is gone", Selection{}, host(lo, eth0, wlan0), []iface{lo, wlan0}, "wlan0 10.1.2.3"},
		{"waits rather than move to loopback", Selection{}, onEth0, host(lo), ""},
		{"leaves loopback at once", Selection{}, host(lo), host(lo, wlan0), "wlan0 10.1.2.3"},
		{"stays on loopback", Selection{}, host(lo), host(lo, docker0), "lo 127.0.0.1"},
		{"new address", Selection{}, onEth0, host(lo, nic("eth0", ethernet, "192.168.1.8/24")), "eth0 192.168.1.8"},
		{"name is gone", Selection{Names: []string{"eth0"}}, onEth0, host(lo, wlan0), ""},
		{"name has a new address", Selection{Names: []string{"eth0"}}, onEth0, host(lo, nic("eth0", ethernet, "10.0.0.1/8")), "eth0 10.0.0.1"},
		{"one of two names is gone", Selection{Names: []string{"eth0", "wlan0"}}, host(lo, eth0, wlan0), host(lo, wlan0), "wlan0 10.1.2.3"},
		{"one more for all", Selection{Names: []string{"*"}}, onEth0, host(lo, eth0, wlan0), "eth0 192.168.1.7, wlan0 10.1.2.3"},
		{"both stay", Selection{DualStack: true}, []iface{lo, broken, eth0}, []iface{lo, wlan0, eth0}, "eth0 192.168.1.7, eth0 fe80::7"},
		{"both, IPv6 comes", Selection{DualStack: true}, []iface{lo, vpn, nic("eth0", ethernet, "10.0.0.1/8")}, []iface{lo, wlan0, nic("eth0", ethernet, "10.0.0.1/8")}, "eth0 10.0.0.1, wlan0 fe80::3"},
		{"both, IPv6 goes", Selection{DualStack: true}, onEth0, host(lo, nic("eth0", ethernet, "192.168.1.7/24")), "eth0 192.168.1.7"},
		{"both go", Selection{DualStack: true}, onEth0, host(lo), ""},
		{"both of a name, IPv6 goes", Selection{Names: []string{"eth0"}, DualStack: true}, onEth0, host(lo, nic("eth0", ethernet, "192.168.1.7/24")), "eth0 192.168.1.7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			current, _, err := tt.s.choose(tt.before)
			if err != nil {
				t.Fatal(err)
			}
			links, err := tt.s.rechoose(tt.now, current)
			if describe(links) != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("got %s, %v; want %s", describe(links), err, tt.want)
			}
		})
	}
}

func TestUsableOrder(t *testing.T) {
	got := describe(Selection{}.usable(host(lo, docker0, vpn, eth0, broken, wlan0)))
	const want = "eth0 192.168.1.7, wlan0 10.1.2.3, docker0 172.17.0.1, lo 127.0.0.1"
	if got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

func TestBroadcastAddress(t *testing.T) {
	tests := []struct {
		flags      net.Flags
		addr, want string
	}{
		{ethernet, "192.168.1.7/24", "192.168.1.255"},
		{ethernet, "10.1.2.3/8", "10.255.255.255"},
		{ethernet, "10.1.2.5/30", "10.1.2.7"},
		{ethernet, "10.1.2.3/23", "10.1.3.255"},
		{ethernet, "10.1.2.3/24>10.1.255.255", "10.1.255.255"},
		{ethernet, "10.1.2.3/24>10.1.2.3", "10.1.2.255"},
		{ethernet, "10.1.2.3/24>0.0.0.0", "10.1.2.255"},
		{ethernet, "10.1.2.2/31", "255.255.255.255"},
		{ethernet, "10.1.2.2/32", "255.255.255.255"},
		{tunnel, "10.8.0.2/24", "10.8.0.255"},
		{loop, "127.0.0.1/8", "127.255.255.255"},
		{loop, "10.5.5.5/32", "127.255.255.255"},
	}
	for _, tt := range tests {
		links := nic("x", tt.flags, tt.addr).links(false, netip.Addr{})
		if len(links) != 1 || links[0].Broadcast.String() != tt.want {
			t.Errorf("%s: got %+v; want broadcast address %s", tt.addr, links, tt.want)
		}
	}
}

func TestLinkFields(t *testing.T) {
	links, _, err := Selection{IPv6: true}.choose(host(lo, eth0))
	want := Link{Name: "eth0", Index: 2, Addr: netip.MustParseAddr("fe80::7%eth0"), Prefix: netip.MustParsePrefix("fe80::/64")}
	if err != nil || !slices.Equal(links, []Link{want}) {
		t.Errorf("IPv6: got %+v, %v; want %+v", links, err, want)
	}
	links, _, err = Selection{Names: []string{"lo"}}.choose(host(lo, eth0))
	want = Link{Name: "lo", Index: 1, Addr: netip.MustParseAddr("127.0.0.1"), Broadcast: loopbackBroadcast, Prefix: netip.MustParsePrefix("127.0.0.0/8"), Loopback: true}
	if err != nil || !slices.Equal(links, []Link{want}) {
		t.Errorf("IPv4: got %+v, %v; want %+v", links, err, want)
	}
}

func TestContainerBridges(t *testing.T) {
	for _, name := range []string{"docker0", "docker_gwbridge", "br-0a1b2c3d4e5f", "virbr0", "veth12ab", "cni0", "flannel.1", "podman1", "lxcbr0", "lxdbr0", "cali123", "vEthernet (WSL)"} {
		if !nic(name, ethernet).containerBridge() {
			t.Errorf("%s is taken for a network", name)
		}
	}
	for _, name := range []string{"eth0", "br0", "br-lan", "br-0a1b2c3d4e5", "br-0a1b2c3d4e5g", "bridge0", "en0", "wlp3s0", "vEthernet (External)", "bond0", "vlan10"} {
		if nic(name, ethernet).containerBridge() {
			t.Errorf("%s is taken for a container bridge", name)
		}
	}
}
