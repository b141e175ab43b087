package zyre

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/rule"
)

// Defaults of the options that have one.
const (
	DefaultPort           = 5670                    // UDP port of beacons, registered for ZRE
	DefaultInterval       = 1000 * time.Millisecond // between two beacons
	DefaultEvasiveTimeout = 5 * time.Second
	DefaultExpiredTimeout = 30 * time.Second
	DefaultInboxLimit     = 16 << 20        // bytes
	DefaultMessageLimit   = rule.MaxMessage // bytes: 64 MiB
	DefaultSendLimit      = 1 << 20         // bytes, per peer
)

// Option configures a node; give it to [New]. A value that no node can use
// makes New fail with [ErrInvalid].
type Option func(*config) error

// config is what the options say. The engines read it and never change it.
type config struct {
	name       string
	headers    map[string]string
	logger     *slog.Logger
	port       int
	peerPort   int // 0: the engine's choice
	interval   time.Duration
	interfaces []string // none: the engine's choice
	multicast  string   // IPv4 group; "": broadcast
	multicast6 string   // IPv6 group; "": ff02::1
	ipv6       bool     // announce by IPv6 multicast instead of by IPv4
	dualStack  bool     // announce by both
	ipv6Addr   string   // source address among several; "": the interface's first
	evasive    time.Duration
	silent     time.Duration // 0: as libzyre, evasive plus one reap interval
	expired    time.Duration

	endpoint   string
	advertised string
	contests   []string

	gossipBind    []string
	gossipConnect []gossipHub
	beacon        bool // announce by beacon although there is gossip

	cert      Cert       // without a secret key: no CURVE
	allowed   [][32]byte // public keys; nil: every one
	zapDomain string     // libzyre's; "": its default

	inboxLimit   int
	messageLimit int
	sendLimit    int
	sendTimeout  time.Duration // 0: the evasive timeout
}

// gossipHub is a gossip server to connect to.
type gossipHub struct {
	endpoint string
	key      string // Z85 public key for CURVE; "": none
}

func newConfig(name string, opts []Option) (*config, error) {
	c := &config{
		name:         name,
		headers:      map[string]string{},
		logger:       slog.New(slog.DiscardHandler),
		port:         DefaultPort,
		interval:     DefaultInterval,
		evasive:      DefaultEvasiveTimeout,
		expired:      DefaultExpiredTimeout,
		inboxLimit:   DefaultInboxLimit,
		messageLimit: DefaultMessageLimit,
		sendLimit:    DefaultSendLimit,
	}
	if err := rule.Name(name); err != nil {
		return nil, err
	}
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o(c); err != nil {
			return nil, err
		}
	}
	return c, c.complete()
}

// complete checks the options against each other, and asks the environment
// that existing deployments set for libzyre where no option has spoken.
func (c *config) complete() error {
	if c.expired <= c.evasive {
		return rule.Invalid("expired timeout", c.expired, fmt.Sprintf("is not above the evasive timeout of %v", c.evasive))
	}
	if c.silent != 0 && (c.silent < c.evasive || c.silent > c.expired) {
		return rule.Invalid("silent timeout", c.silent, fmt.Sprintf("is not between the evasive timeout of %v and the expired timeout of %v", c.evasive, c.expired))
	}
	for _, hub := range c.gossipConnect {
		if (hub.key != "") != c.cert.hasSecret() {
			return rule.Invalid("gossip hub", hub.endpoint, "needs a public key if and only if the node has a certificate: WithGossipConnectCurve goes with WithCert")
		}
	}
	if c.allowed != nil && !c.cert.hasSecret() {
		return rule.Invalid("allowed keys", len(c.allowed), "mean nothing without WithCert")
	}
	if size := c.headerBytes(); size > rule.MaxAllHeaders {
		return rule.Invalid("headers", fmt.Sprintf("of %d bytes", size), fmt.Sprintf("are more than %d together", rule.MaxAllHeaders))
	}
	if v := os.Getenv("ZSYS_INTERFACE"); v != "" && len(c.interfaces) == 0 {
		c.interfaces = []string{v}
	}
	return c.completeVersions()
}

// headerBytes returns what the headers take in a HELLO, with their lengths.
func (c *config) headerBytes() (size int) {
	for name, value := range c.headers {
		size += 1 + len(name) + 4 + len(value)
	}
	return size
}

// completeVersions settles by which versions of IP the node announces itself
// and to which groups.
func (c *config) completeVersions() error {
	if c.multicast+c.multicast6 == "" {
		c.ipv6 = os.Getenv("ZSYS_IPV6") == "1"
		for _, name := range []string{"ZSYS_IPV4_MCAST_ADDRESS", "ZSYS_IPV6_MCAST_ADDRESS"} {
			wanted := c.dualStack || c.ipv6 == (name == "ZSYS_IPV6_MCAST_ADDRESS")
			if group := os.Getenv(name); group != "" && wanted {
				if err := WithMulticast(group)(c); err != nil {
					return fmt.Errorf("environment: %w", err)
				}
			}
		}
	}
	switch {
	case c.dualStack:
		c.ipv6 = false
	case c.ipv6:
		c.multicast = ""
	default:
		c.multicast6 = ""
	}
	if c.ipv6 || c.dualStack {
		c.ipv6Addr = os.Getenv("ZSYS_IPV6_ADDRESS")
	}
	return nil
}

// WithHeader adds a header that every peer gets with its Enter event. The
// name is up to 255 bytes; of a name given twice the last value counts.
func WithHeader(name, value string) Option {
	return func(c *config) error {
		if err := rule.Header(name, value); err != nil {
			return err
		}
		if len(c.headers) >= rule.MaxHeaders {
			return rule.Invalid("header", name, fmt.Sprintf("is one too many; at most %d", rule.MaxHeaders))
		}
		c.headers[name] = value
		return nil
	}
}

// WithLogger sends the node's log there: which interface it chose, peers that
// broke the protocol, connections that failed. Default: nowhere. Its handler
// must not call the node, which may wait for it.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error {
		if l == nil {
			l = slog.New(slog.DiscardHandler)
		}
		c.logger = l
		return nil
	}
}

// WithPort sets the UDP port of beacons: nodes on different ports do not see
// each other. Default: [DefaultPort].
func WithPort(port int) Option {
	return func(c *config) error {
		c.port = port
		return rule.Port("port", port, false)
	}
}

// WithPeerPort fixes the TCP port on which peers connect to this node, for
// firewalls: one from 1024 on, since a forged beacon must not make a node
// connect to the services of a host. Default: a free one, chosen at Start.
func WithPeerPort(port int) Option {
	return func(c *config) error {
		c.peerPort = port
		return rule.PeerPort("peer port", port)
	}
}

// WithInterval sets the time between two beacons. Default: [DefaultInterval].
// The first is sent at Start, whatever the interval.
func WithInterval(d time.Duration) Option {
	return func(c *config) error {
		c.interval = d
		return rule.Duration("interval", d)
	}
}

// WithInterface says which network interfaces announce the node: by name
// ("eth0", "lo"), by one of their addresses, or "*" for all. Of several each
// peer is told the address that is right on its network. Default: what
// ZSYS_INTERFACE in the environment says, else the first that is up, can
// broadcast and is neither loopback nor a container bridge, else loopback.
// Start fails with [ErrNoInterface] if there is no such interface.
func WithInterface(names ...string) Option {
	return func(c *config) error {
		for _, name := range names {
			if name == "" || strings.ContainsRune(name, 0) || len(name) > rule.MaxString {
				return rule.Invalid("interface", name, "is not the name or the address of one")
			}
		}
		c.interfaces = names
		return nil
	}
}

// WithMulticast sends beacons to this multicast group instead of by
// broadcast. An IPv6 group such as "ff02::1" makes the node use IPv6. With
// [WithDualStack] it can be given for both versions.
// Default: ZSYS_IPV4_MCAST_ADDRESS; or with ZSYS_IPV6=1 in the environment,
// ZSYS_IPV6_MCAST_ADDRESS, else ff02::1; else broadcast.
func WithMulticast(group string) Option {
	return func(c *config) error {
		addr, err := netip.ParseAddr(group)
		switch {
		case err != nil || !addr.IsMulticast():
			return rule.Invalid("multicast group", group, "is not a multicast address")
		case addr.Zone() != "":
			return rule.Invalid("multicast group", group, "names an interface, which is for WithInterface")
		case addr.Is4In6():
			return rule.Invalid("multicast group", group, "is an address of IPv4 in the form of IPv6; write "+addr.Unmap().String())
		}
		if c.ipv6 = addr.Is6(); c.ipv6 {
			c.multicast6 = group
		} else {
			c.multicast = group
		}
		return nil
	}
}

// WithDualStack makes the node use IPv4 and IPv6 at once: it announces itself
// by broadcast and by IPv6 multicast, and meets nodes that have either. Of an
// interface with one kind of address that is used. The libzyre engine cannot:
// [errors.ErrUnsupported]. Nor can OpenBSD and DragonFly BSD, on which a
// socket has one kind of address: there peers can connect by one only.
//
// The gossip tells one endpoint of a node: with the address by which it
// reaches its hub, else with that of IPv4. A peer that has the other kind
// alone cannot connect there; where there are such, let them find each other
// by beacons, or see [WithAdvertisedEndpoint].
func WithDualStack() Option {
	return func(c *config) error {
		c.dualStack = true
		return nil
	}
}

// WithEvasiveTimeout sets after how much silence a peer is reported as
// [Evasive]. Default: [DefaultEvasiveTimeout].
func WithEvasiveTimeout(d time.Duration) Option {
	return func(c *config) error {
		c.evasive = d
		return rule.Duration("evasive timeout", d)
	}
}

// WithSilentTimeout sets after how much silence a peer is reported as
// [Silent] too. Default: one second, or less with shorter timeouts, after it
// became evasive.
func WithSilentTimeout(d time.Duration) Option {
	return func(c *config) error {
		c.silent = d
		return rule.Duration("silent timeout", d)
	}
}

// WithExpiredTimeout sets after how much silence a peer is given up, with
// [Exit]. Default: [DefaultExpiredTimeout].
func WithExpiredTimeout(d time.Duration) Option {
	return func(c *config) error {
		c.expired = d
		return rule.Duration("expired timeout", d)
	}
}

// WithEndpoint fixes where the node listens, such as "tcp://10.0.0.7:6000", at a
// port from 1024 on as with [WithPeerPort].
// As in libzyre it also switches discovery from beacons to gossip.
func WithEndpoint(endpoint string) Option {
	return func(c *config) error {
		c.endpoint = endpoint
		return rule.Peers(endpoint, true)
	}
}

// WithAdvertisedEndpoint tells peers to connect to this endpoint instead of
// the one on which the node listens: the outside of a NAT.
func WithAdvertisedEndpoint(endpoint string) Option {
	return func(c *config) error {
		c.advertised = endpoint
		return rule.Peers(endpoint, false)
	}
}

// WithContest makes the node a candidate in the leader elections of a group.
func WithContest(group string) Option {
	return func(c *config) error {
		c.contests = append(c.contests, group)
		return rule.Group(group)
	}
}

// WithGossipBind makes the node a gossip hub on this endpoint, such as
// "tcp://*:5680". It can be given several times.
func WithGossipBind(endpoint string) Option {
	return func(c *config) error {
		c.gossipBind = append(c.gossipBind, endpoint)
		return rule.Hub(endpoint, true)
	}
}

// WithGossipConnect makes the node find others through the gossip hub at
// this endpoint. It can be given several times.
func WithGossipConnect(endpoint string) Option {
	return func(c *config) error {
		c.gossipConnect = append(c.gossipConnect, gossipHub{endpoint: endpoint})
		return rule.Hub(endpoint, false)
	}
}

// WithGossipConnectCurve is [WithGossipConnect] for a hub that has a
// certificate, of which this is the public key in Z85. The node needs
// [WithCert].
func WithGossipConnectCurve(publicKey, endpoint string) Option {
	return func(c *config) error {
		if _, err := key.Decode(publicKey); err != nil {
			return rule.Invalid("public key", publicKey, err.Error())
		}
		c.gossipConnect = append(c.gossipConnect, gossipHub{endpoint, publicKey})
		return rule.Hub(endpoint, false)
	}
}

// WithBeacon makes a node that uses gossip announce itself by beacon too. The
// libzyre engine cannot: [errors.ErrUnsupported].
func WithBeacon() Option {
	return func(c *config) error {
		c.beacon = true
		return nil
	}
}

// WithCert makes the node use CURVE (RFC 26): everything that it says to its
// peers is encrypted, every peer proves its key, and nodes without a
// certificate are no peers. The certificate must have its secret key.
func WithCert(cert Cert) Option {
	return func(c *config) error {
		if !cert.hasSecret() {
			return rule.Invalid("certificate", cert.PublicKey(), "has no secret key")
		}
		c.cert = cert
		return nil
	}
}

// WithAllowedKeys makes peers only of the owners of these public keys, in
// Z85. Default: of everybody who proves to own the key that he shows. It can
// be given several times.
func WithAllowedKeys(publicKeys ...string) Option {
	return func(c *config) error {
		if c.allowed == nil {
			c.allowed = [][32]byte{}
		}
		for _, text := range publicKeys {
			k, err := key.Decode(text)
			if err != nil {
				return rule.Invalid("public key", text, err.Error())
			}
			c.allowed = append(c.allowed, k)
		}
		return nil
	}
}

// WithZAPDomain sets the domain under which libzyre asks a ZAP handler
// (RFC 27) of the application, such as czmq's zauth, about peers. It cannot be
// combined with [WithAllowedKeys], which needs no such handler. The fallback
// engine has no ZAP: there it is [errors.ErrUnsupported].
func WithZAPDomain(domain string) Option {
	return func(c *config) error {
		c.zapDomain = domain
		return rule.Endpoint(domain)
	}
}

// WithInboxLimit bounds the memory of events that wait for Recv, in bytes.
// Above it the node stops reading from its peers, which then have to wait:
// nothing is dropped. Default: [DefaultInboxLimit].
func WithInboxLimit(bytes int) Option {
	return func(c *config) error {
		c.inboxLimit = bytes
		return limit("inbox limit", bytes)
	}
}

// WithMessageLimit bounds a message from a peer, all its frames together, in
// bytes. A peer that sends a larger one is dropped, with [Exit], as soon as
// that shows. It is the memory that peers can make the node take beyond all
// other limits, so set it to the largest that your application knows. Default,
// and the most that can be sent: [DefaultMessageLimit].
func WithMessageLimit(bytes int) Option {
	return func(c *config) error {
		c.messageLimit = bytes
		if bytes > DefaultMessageLimit {
			return rule.Invalid("message limit", bytes, "is more than the most that can be sent, 64 MiB")
		}
		return limit("message limit", bytes)
	}
}

// WithSendLimit bounds the memory of messages that wait to be sent to one
// peer, in bytes. Above it Whisper and Shout wait. Default: [DefaultSendLimit].
func WithSendLimit(bytes int) Option {
	return func(c *config) error {
		c.sendLimit = bytes
		return limit("send limit", bytes)
	}
}

// WithSendTimeout sets how long a peer may take nothing of what waits for it
// before it is given up, with [Exit]. Default: the evasive timeout.
func WithSendTimeout(d time.Duration) Option {
	return func(c *config) error {
		c.sendTimeout = d
		return rule.Duration("send timeout", d)
	}
}

func limit(field string, bytes int) error {
	if bytes < 4096 {
		return rule.Invalid(field, bytes, "is too small; take at least 4096 bytes")
	}
	return nil
}
