package netif

import (
	"net"
	"net/netip"
	"testing"
)

// loopbackIndex skips the test on a machine without loopback.
func loopbackIndex(t *testing.T) int {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Flags&(net.FlagUp|net.FlagLoopback) == net.FlagUp|net.FlagLoopback {
			return i.Index
		}
	}
	t.Skip("this machine has no loopback interface that is up")
	return 0
}

func TestSystemHasLoopback(t *testing.T) {
	index := loopbackIndex(t)
	links, _, err := Selection{Names: []string{"lo"}}.Choose()
	if err != nil {
		t.Fatal(err)
	}
	l := links[0]
	if len(links) != 1 || !l.Loopback || !l.Addr.IsLoopback() || l.Index != index || l.Broadcast != loopbackBroadcast {
		t.Errorf("lo is %+v", links)
	}
	if _, err := net.InterfaceByName(l.Name); err != nil {
		t.Error(err)
	}
}

func TestUsableEndsWithLoopback(t *testing.T) {
	loopbackIndex(t)
	for _, ipv6 := range []bool{false, true} {
		links, err := Usable(ipv6)
		if err != nil {
			t.Fatal(err)
		}
		for n, l := range links {
			if l.Addr.Is6() != ipv6 || !l.Prefix.Contains(l.Addr.WithZone("")) {
				t.Errorf("odd link %+v", l)
			}
			if n > 0 && links[n-1].Loopback && !l.Loopback {
				t.Errorf("loopback before %v", l)
			}
		}
	}
}

// What the kernel says at once and what package net says interface by
// interface must be the same addresses.
func TestSystemAgreesWithPackageNet(t *testing.T) {
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	got, err := addresses(all)
	if err != nil {
		t.Fatal(err)
	}
	want, err := portableAddresses(all)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) == 0 {
		t.Skip("this machine has no addresses")
	}
	for index, addrs := range want {
		set := map[netip.Prefix]bool{}
		for _, a := range got[index] {
			set[a.prefix] = true
		}
		for _, a := range addrs {
			if !set[a.prefix] {
				t.Errorf("interface %d: address %v is missing", index, a.prefix)
			}
		}
	}
}

func TestPrefixOf(t *testing.T) {
	tests := []struct {
		addr net.Addr
		want string
	}{
		{&net.IPNet{IP: net.IPv4(10, 1, 2, 3), Mask: net.CIDRMask(8, 32)}, "10.1.2.3/8"},
		{&net.IPNet{IP: net.IPv4(10, 1, 2, 3), Mask: net.CIDRMask(104, 128)}, "10.1.2.3/8"},
		{&net.IPNet{IP: net.ParseIP("fe80::1"), Mask: net.CIDRMask(64, 128)}, "fe80::1/64"},
		{&net.IPNet{IP: net.IPv4(10, 1, 2, 3), Mask: net.IPv4Mask(255, 0, 255, 0)}, ""},
		{&net.IPNet{}, ""},
		{&net.IPAddr{IP: net.IPv4(10, 1, 2, 3)}, ""},
	}
	for _, tt := range tests {
		p, ok := prefixOf(tt.addr)
		if ok != (tt.want != "") || ok && p.String() != tt.want {
			t.Errorf("%v: got %v, %v; want %q", tt.addr, p, ok, tt.want)
		}
	}
}
