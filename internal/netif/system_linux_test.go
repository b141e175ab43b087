package netif

import (
	"errors"
	"strings"
	"testing"

	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/internal/rule"
)

// run runs "ip" with these words in the host.
func run(t *testing.T, h *netlab.Host, line string) {
	t.Helper()
	if out, err := h.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", line, err, out)
	}
}

// choose is Choose in the host.
func choose(h *netlab.Host, s Selection) (links []Link, err error) {
	h.Do(func() { links, _, err = s.Choose() })
	return links, err
}

func TestChooseInNamespace(t *testing.T) {
	netlab.Need(t)
	h := netlab.New(t).Host("h")
	name := h.Interface()

	links, err := choose(h, Selection{})
	if err != nil || links[0].Name != name || links[0].Addr != h.Addr() || !links[0].Prefix.Contains(links[0].Broadcast) {
		t.Errorf("default choice: %+v, %v", links, err)
	}
	links, err = choose(h, Selection{IPv6: true})
	if err != nil || links[0].Addr.Zone() != name || !links[0].Addr.IsLinkLocalUnicast() {
		t.Errorf("IPv6: %+v, %v", links, err)
	}

	run(t, h, "address add 10.99.0.1/24 brd 10.99.255.255 dev "+name)
	links, err = choose(h, Selection{Names: []string{"10.99.0.1"}})
	if err != nil || links[0].Broadcast.String() != "10.99.255.255" {
		t.Errorf("the kernel's broadcast address: %+v, %v", links, err)
	}

	run(t, h, "link add docker0 type bridge")
	run(t, h, "address add 172.17.0.1/16 dev docker0")
	run(t, h, "link set docker0 up")
	run(t, h, "link set down dev "+name)
	links, err = choose(h, Selection{})
	if err != nil || !links[0].Loopback {
		t.Errorf("network down: %+v, %v", links, err)
	}
	_, err = choose(h, Selection{Names: []string{name}})
	if !errors.Is(err, rule.ErrNoInterface) || !strings.Contains(err.Error(), "is down; usable: docker0 172.17.0.1, lo 127.0.0.1") {
		t.Errorf("name of an interface that is down: %v", err)
	}
}
