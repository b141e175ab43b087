package zyre

import (
	"errors"
	"testing"
)

// By which version of IP a node announces itself, and to which groups.
func TestVersions(t *testing.T) {
	const group4, group6, other6 = "239.1.2.3", "ff05::1", "ff05::2"
	type env map[string]string
	tests := []struct {
		name       string
		env        env
		opts       []Option
		ipv6, both bool
		multicast  string
		multicast6 string
		ipv6Addr   string
	}{
		{name: "nothing said"},
		{name: "IPv4 group", opts: []Option{WithMulticast(group4)}, multicast: group4},
		{name: "IPv6 group", opts: []Option{WithMulticast(group6)}, ipv6: true, multicast6: group6},
		{name: "the last counts", opts: []Option{WithMulticast(group4), WithMulticast(group6)}, ipv6: true, multicast6: group6},
		{name: "the last counts, IPv4", opts: []Option{WithMulticast(group6), WithMulticast(group4)}, multicast: group4},
		{name: "both", opts: []Option{WithDualStack()}, both: true},
		{name: "both, IPv6 group", opts: []Option{WithDualStack(), WithMulticast(group6)}, both: true, multicast6: group6},
		{name: "both, two groups", opts: []Option{WithMulticast(group6), WithMulticast(group4), WithDualStack()}, both: true, multicast: group4, multicast6: group6},

		{name: "ZSYS_IPV6", env: env{"ZSYS_IPV6": "1", "ZSYS_IPV6_ADDRESS": "fe80::1"}, ipv6: true, ipv6Addr: "fe80::1"},
		{name: "ZSYS_IPV6 off", env: env{"ZSYS_IPV6": "0", "ZSYS_IPV6_ADDRESS": "fe80::1", "ZSYS_IPV6_MCAST_ADDRESS": group6}},
		{name: "group by environment", env: env{"ZSYS_IPV4_MCAST_ADDRESS": group4, "ZSYS_IPV6_MCAST_ADDRESS": group6}, multicast: group4},
		{name: "IPv6 group by environment", env: env{"ZSYS_IPV6": "1", "ZSYS_IPV4_MCAST_ADDRESS": group4, "ZSYS_IPV6_MCAST_ADDRESS": group6}, ipv6: true, multicast6: group6},
		{name: "option before environment", env: env{"ZSYS_IPV6": "1"}, opts: []Option{WithMulticast(group4)}, multicast: group4},
		{name: "option before environment, IPv6", env: env{"ZSYS_IPV4_MCAST_ADDRESS": group4, "ZSYS_IPV6_MCAST_ADDRESS": other6}, opts: []Option{WithMulticast(group6)}, ipv6: true, multicast6: group6},
		{name: "both beside ZSYS_IPV6", env: env{"ZSYS_IPV6": "1", "ZSYS_IPV6_ADDRESS": "fe80::1"}, opts: []Option{WithDualStack()}, both: true, ipv6Addr: "fe80::1"},
		{name: "both, groups by environment", env: env{"ZSYS_IPV4_MCAST_ADDRESS": group4, "ZSYS_IPV6_MCAST_ADDRESS": group6}, opts: []Option{WithDualStack()}, both: true, multicast: group4, multicast6: group6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			setVersions(t, tt.env)
			c, err := newConfig("n", tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if c.ipv6 != tt.ipv6 || c.dualStack != tt.both || c.multicast != tt.multicast || c.multicast6 != tt.multicast6 || c.ipv6Addr != tt.ipv6Addr {
				t.Errorf("IPv6 %t, both %t, groups %q %q, address %q", c.ipv6, c.dualStack, c.multicast, c.multicast6, c.ipv6Addr)
			}
		})
	}
	setVersions(t, env{"ZSYS_IPV4_MCAST_ADDRESS": "10.0.0.1"})
	if _, err := newConfig("n", nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("a bad group in the environment: %v", err)
	}
}

func TestNoMulticastGroups(t *testing.T) {
	for _, group := range []string{"", "x", "10.0.0.1", "fe80::1", "ff02::1%lo", "::ffff:239.1.2.3"} {
		if _, err := newConfig("n", []Option{WithMulticast(group)}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", group, err)
		}
	}
}

// setVersions sets what the environment says of IP, and nothing else of it.
func setVersions(t *testing.T, env map[string]string) {
	for _, name := range []string{"ZSYS_IPV6", "ZSYS_IPV6_ADDRESS", "ZSYS_IPV4_MCAST_ADDRESS", "ZSYS_IPV6_MCAST_ADDRESS"} {
		t.Setenv(name, env[name])
	}
}
