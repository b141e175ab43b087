//go:build linux

package mesh

import (
	"fmt"
	"testing"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/testport"
	"github.com/gozyre/zyre/interop/internal/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

const anyLocal = "tcp://127.0.0.1:*"

// TestFiftyNodesThroughThreeHubs needs what is told to one hub to reach the
// clients of all: the hubs are a chain.
func TestFiftyNodesThroughThreeHubs(t *testing.T) {
	const nodes, hubs = 50, 3
	var endpoints []string
	for range hubs {
		endpoints = append(endpoints, testport.Endpoint())
	}
	var parties []lab.Party
	for i := range nodes {
		cfg := gossipConfig(t, fmt.Sprint("node ", i))
		switch {
		case i < hubs:
			cfg.GossipBind = endpoints[i : i+1]
			if i > 0 {
				cfg.GossipConnect = []fallback.Hub{{Endpoint: endpoints[i-1]}}
			}
		default:
			cfg.GossipConnect = []fallback.Hub{{Endpoint: endpoints[i%hubs]}}
		}
		parties = append(parties, lab.NewNode(t, cfg).Party())
	}
	lab.Meet(t, parties...)
	lab.Gather(t, "G", parties...)
	lab.ShoutAll(t, "G", parties...)
}

// gossipConfig is that of a node on loopback that gives nobody up who is
// silent: who goes has to say so.
func gossipConfig(t *testing.T, name string) fallback.Config {
	cfg := lab.Config(t, name)
	cfg.Interfaces, cfg.Endpoint = []string{"lo"}, anyLocal
	cfg.Evasive, cfg.Expired = lab.Never/2, lab.Never
	return cfg
}
