//go:build cgo && !purego

package zyre

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/netif"
	"github.com/gozyre/zyre/internal/rule"
)

// libzyre reports little: it asserts, tries again for ever or logs a line.
// So what it would stumble over is refused here, before it is told.

// maxExpired: for each millisecond of the expired timeout libzyre lets 100
// messages wait for a peer, which libzmq counts in an int.
const maxExpired = math.MaxInt32 / 100 * time.Millisecond

// checkSupported refuses options that the installed libraries do not have.
func checkSupported(cfg *config) error {
	if len(cfg.interfaces) > 1 {
		return unsupported("libzyre announces on one interface or on all; name one, or \"*\"")
	}
	if cfg.dualStack {
		return unsupported("libzyre uses IPv4 or IPv6, not both")
	}
	if cfg.peerPort != 0 && !zyreHasDrafts() {
		return unsupported("WithPeerPort needs a libzyre with draft functions")
	}
	if cfg.expired > maxExpired {
		return unsupported(fmt.Sprintf("libzyre's expired timeout is at most %v", maxExpired))
	}
	if err := checkMulticast(cfg); err != nil {
		return err
	}
	if err := checkCurve(cfg); err != nil {
		return err
	}
	if cfg.beacon && cfg.gossips() {
		return unsupported("libzyre uses beacons or gossip, not both")
	}
	return checkEndpoints(cfg)
}

// checkCurve refuses what libzyre would do in clear instead.
func checkCurve(cfg *config) error {
	switch {
	case !cfg.cert.hasSecret():
		return nil
	case cfg.allowed != nil && cfg.zapDomain != "":
		return rule.Invalid("ZAP domain", cfg.zapDomain, "leaves it to the application who may connect, and WithAllowedKeys to the node")
	case !zmqHasCurve():
		return unsupported("this libzmq has no CURVE")
	case len(cfg.gossipBind)+len(cfg.gossipConnect) > 0 && !czmqHasDrafts():
		return unsupported("gossip with CURVE needs a czmq with draft functions")
	}
	return nil
}

func checkEndpoints(cfg *config) error {
	for _, hub := range cfg.gossipConnect {
		if err := checkEndpoint("gossip endpoint", hub.endpoint, false); err != nil {
			return err
		}
	}
	for _, endpoint := range cfg.gossipBind {
		if err := checkEndpoint("gossip endpoint", endpoint, true); err != nil {
			return err
		}
	}
	if cfg.endpoint != "" {
		return checkEndpoint("endpoint", cfg.endpoint, true)
	}
	return nil
}

func unsupported(what string) error {
	return fmt.Errorf("zyre: %s: %w", what, errors.ErrUnsupported)
}

// checkMulticast: a czmq without draft functions takes the IPv4 group from
// the environment when the process begins to use it, and from nowhere else.
func checkMulticast(cfg *config) error {
	if czmqHasDrafts() {
		return nil
	}
	wanted, fixed := cfg.multicast, process.fixedMulticast
	if wanted == fixed {
		return nil
	}
	return unsupported(fmt.Sprintf("this czmq has no draft functions, so the IPv4 multicast group %q is that of the "+
		"environment when the process started, ZSYS_IPV4_MCAST_ADDRESS=%q", wanted, fixed))
}

// checkRequirePeer: with CURVE libzyre asserts that there is a key, without
// it ignores one.
func checkRequirePeer(cfg *config, endpoint, publicKey string) error {
	if !zyreHasDrafts() {
		return unsupported("RequirePeer needs a libzyre with draft functions")
	}
	if !cfg.cert.hasSecret() {
		if publicKey != "" {
			return rule.Invalid("key", publicKey, "is of no use to a node without a certificate")
		}
	} else if _, err := key.Decode(publicKey); err != nil {
		return rule.Invalid("key", publicKey, "is not a public key of 40 characters in Z85, which a node with a certificate needs")
	}
	return checkEndpoint("endpoint", endpoint, false)
}

func checkGossipUnpublish(cfg *config) error {
	switch {
	case !cfg.gossips():
		return rule.Invalid("node", cfg.name, "has no gossip")
	case !zyreHasDrafts() || !czmqHasDrafts():
		return unsupported("GossipUnpublish needs libzyre and czmq with draft functions")
	}
	return nil
}

// checkEndpoint checks what libzmq will be given to bind or to connect to.
func checkEndpoint(field, endpoint string, bind bool) error {
	transport, address, ok := strings.Cut(endpoint, "://")
	switch {
	case !ok || address == "":
		return rule.Invalid(field, endpoint, `is not like "tcp://10.0.0.7:6000"`)
	case transport == "ipc" || transport == "inproc":
		return nil
	case transport != "tcp":
		return rule.Invalid(field, endpoint, "has a transport other than tcp, ipc and inproc")
	}
	host, port, ok := cutPort(address)
	if !ok || host == "" {
		return rule.Invalid(field, endpoint, "lacks a host or a port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil && (n > 0 || bind) {
		return nil
	}
	if bind && (strings.HasPrefix(port, "*") || strings.HasPrefix(port, "!")) {
		return nil // czmq chooses
	}
	return rule.Invalid(field, endpoint, "has no port that can be used")
}

// cutPort splits host and port; an IPv6 host may stand in brackets or not.
func cutPort(address string) (host, port string, ok bool) {
	i := strings.LastIndexByte(address, ':')
	if i < 0 {
		return "", "", false
	}
	return strings.Trim(address[:i], "[]"), address[i+1:], true
}

// plan is what has to be found out each time a node starts.
type plan struct {
	net      network
	link     netif.Link // the interface
	why      string     // this one
	gossip   bool
	endpoint string // with gossip
}

// planStart finds the interface and makes sure that the ports are free.
func planStart(ctx context.Context, cfg *config) (plan, error) {
	p := plan{gossip: cfg.gossips(), endpoint: cfg.endpoint}
	p.net = network{ipv6: cfg.ipv6, ipv6Addr: cfg.ipv6Addr, multicast: cfg.multicast + cfg.multicast6}
	if cfg.endpoint == "" || !p.gossip {
		if err := p.chooseInterface(cfg); err != nil {
			return p, err
		}
	}
	if !p.gossip {
		return p, p.checkBeacon(ctx, cfg)
	}
	for _, endpoint := range append([]string{p.endpoint}, cfg.gossipBind...) {
		if err := checkBind(ctx, endpoint); err != nil {
			return p, err
		}
	}
	return p, nil
}

// chooseInterface sets what czmq is told as the interface: an address, which
// is unambiguous, but for IPv6, where czmq needs the name. With gossip and no
// endpoint the node listens there: libzyre itself would publish the name of
// the machine, which others may not know.
func (p *plan) chooseInterface(cfg *config) error {
	selection := netif.Selection{Names: cfg.interfaces, IPv6: cfg.ipv6, IPv6Addr: cfg.ipv6Addr}
	links, why, err := selection.Choose()
	if err != nil {
		return err
	}
	link := links[0]
	p.link, p.why = link, why
	if p.gossip {
		p.endpoint = "tcp://" + listenAddress(link, cfg.peerPort)
		return nil
	}
	if err := checkBeaconLink(link, cfg.ipv6); err != nil {
		return err
	}
	switch {
	case slices.Equal(cfg.interfaces, []string{"*"}):
		p.net.iface = "*"
	case cfg.ipv6:
		p.net.iface = link.Name
	default:
		p.net.iface = link.Addr.String()
	}
	return nil
}

// listenAddress is where a node that was given no endpoint listens.
func listenAddress(link netif.Link, port int) string {
	host := link.Addr.String()
	if link.Addr.Is6() {
		host = "[" + host + "]"
	}
	if port == 0 {
		return host + ":!" // czmq takes any, and not the first as with "*"
	}
	return host + ":" + strconv.Itoa(port)
}

// checkBeaconLink refuses interfaces on which zbeacon does not send.
func checkBeaconLink(link netif.Link, ipv6 bool) error {
	usable, err := netif.Usable(ipv6)
	if err != nil {
		return err
	}
	usable = slices.DeleteFunc(usable, func(l netif.Link) bool { return l.Loopback })
	if slices.ContainsFunc(usable, func(l netif.Link) bool { return l.Name == link.Name }) {
		return nil
	}
	wanted, why := fmt.Sprintf("%q", link.Name), "cannot broadcast"
	if link.Loopback {
		why = "is loopback, on which libzyre cannot beacon: name another interface, use gossip (WithGossipBind, " +
			"WithGossipConnect), or build with the tag purego, whose engine can"
	}
	return netif.Refuse(wanted, why, usable)
}

// checkBeacon makes sure that the ports of a node with beacons are free.
func (p *plan) checkBeacon(ctx context.Context, cfg *config) error {
	if err := checkUDPPort(cfg.port, cfg.ipv6); err != nil {
		return err
	}
	if cfg.peerPort == 0 {
		return nil
	}
	return checkTCPPort(ctx, p.listenHost(), strconv.Itoa(cfg.peerPort))
}

// listenHost is where a node with beacons listens; "": everywhere.
func (p *plan) listenHost() string {
	if p.net.iface == "*" || p.net.ipv6 {
		return ""
	}
	return p.net.iface
}

// checkBind makes sure that an endpoint can be listened on.
func checkBind(ctx context.Context, endpoint string) error {
	host, port, ok := cutBind(endpoint)
	if n, err := strconv.Atoi(port); !ok || err != nil || n == 0 {
		return nil // a free one is chosen
	}
	return checkTCPPort(ctx, host, port)
}

// cutBind takes apart an endpoint to listen on. The host "" is everywhere.
func cutBind(endpoint string) (host, port string, ok bool) {
	address, ok := strings.CutPrefix(endpoint, "tcp://")
	if !ok {
		return "", "", false
	}
	host, port, _ = cutPort(address)
	if host == "*" {
		return "", port, true
	}
	_, err := netip.ParseAddr(host)
	return host, port, err == nil // or it is the name of an interface
}

// choosePort gives an endpoint a port where any will do. It returns the port
// too, or 0 if only czmq will know it.
func choosePort(endpoint string) (string, int) {
	host, port, ok := cutBind(endpoint)
	switch {
	case !ok:
		return endpoint, 0
	case port == "*" || port == "!" || port == "0":
		if n := someTCPPort(host); n != 0 {
			return strings.TrimSuffix(endpoint, port) + strconv.Itoa(n), n
		}
	}
	n, _ := strconv.Atoi(port)
	return endpoint, n
}

// portPatience is how long a port may take to become free: libzmq closes
// sockets in the background, some time after a node has stopped, and a child
// that is just being forked has them until it becomes its program. It is
// counted in tries, for time passes also while nobody runs.
const (
	portPatience = time.Second
	portTries    = 100
)

// checkTCPPort waits until a port can be listened on.
func checkTCPPort(ctx context.Context, host, port string) error {
	for tries := 1; ; tries++ {
		err := tryTCPPort(host, port)
		if tries == portTries || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(portPatience / portTries):
		}
	}
}

// tryTCPPort listens on a port for a moment.
func tryTCPPort(host, port string) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return fmt.Errorf("zyre: TCP port %s: %w", port, err)
	}
	return l.Close()
}

// gossips tells whether discovery is by gossip.
func (c *config) gossips() bool {
	return c.endpoint != "" || len(c.gossipBind)+len(c.gossipConnect) > 0
}

// someTCPPort returns a port that is free, or 0 if there is none.
var someTCPPort = func(host string) int {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// listens reports whether this process listens on a port with one socket more
// than it did, or if that cannot be told, whether somebody does.
func listens(link netif.Link, port, before int) bool {
	if now, _, ok := sockets(port); ok {
		return now > before
	}
	return somebodyListens(link, port)
}

// somebodyListens tries a port of an interface at its addresses: which one of
// several with IPv6 it is, is czmq's choice. Where nothing can be told, since
// the machine drops its own packets, it is taken for granted.
func somebodyListens(link netif.Link, port int) bool {
	ifi, err := net.InterfaceByIndex(link.Index)
	if err != nil {
		return false
	}
	addrs, err := ifi.Addrs()
	return err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
		ip, ok := a.(*net.IPNet)
		if !ok {
			return false
		}
		address := net.TCPAddr{IP: ip.IP, Port: port}
		if ip.IP.To4() == nil {
			address.Zone = link.Name // which those that are link-local need
		}
		return answers(address)
	})
}

// answers reports whether a connection to an address is not refused.
func answers(address net.TCPAddr) bool {
	conn, err := net.DialTimeout("tcp", address.String(), portPatience)
	if err == nil {
		conn.Close()
	}
	return !errors.Is(err, syscall.ECONNREFUSED)
}
