package fallback

import (
	"net/netip"
	"strings"
	"testing"
)

// FuzzTarget reads the endpoints that HELLOs and tuples of gossip name: none
// makes a node connect to a port below 1024, or from the network to what is
// inside of this host.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"tcp://127.0.0.1:2000", "tcp://fe80::1%eth0:2000", "tcp://[::1]:1024", "tcp://host:9999", "tcp://*:*", "ipc:///x", "inproc://x", "tcp://::%]]:2000", "tcp://::ffff:1.2.3.4:1023"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, endpoint string, remote bool) {
		var from netip.Addr
		if remote {
			from = netip.MustParseAddr("10.0.0.1")
		}
		at, err := target(endpoint, from)
		if err != nil {
			return
		}
		tcp := strings.HasPrefix(at.endpoint, "tcp://")
		switch {
		case remote && !tcp:
			t.Fatalf("%q leads to %+v", endpoint, at)
		case tcp && (at.addr.Port() < minPort || !at.addr.IsValid() || at.addr.Addr().IsUnspecified() || at.addr.Addr().IsMulticast()):
			t.Fatalf("%q leads to %+v", endpoint, at)
		}
		again, err := target(at.endpoint, from)
		if err != nil || again != at {
			t.Fatalf("%q leads to %+v, and that to %+v, %v", endpoint, at, again, err)
		}
	})
}
