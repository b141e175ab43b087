//go:build cgo && !purego && linux

package zyre

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/internal/testport"
)

func init() { programs["victim"] = beVictim }

// The orders of a victim, in its environment.
const (
	victimHub     = "ZYRE_TEST_HUB"     // of gossip that it is, or
	victimPort    = "ZYRE_TEST_PORT"    // of its beacons
	victimSecret  = "ZYRE_TEST_SECRET"  // key, for CURVE
	victimAllowed = "ZYRE_TEST_ALLOWED" // key of its only peer
)

// beVictim runs a node that sends every whisper back, until stdin ends.
func beVictim() int {
	opts, err := victimOptions()
	var n *Node
	if err == nil {
		n, err = New("victim", opts...)
	}
	if err == nil {
		err = n.Start(context.Background())
	}
	if err == nil {
		err = n.Join("LOAD")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		for {
			ev, err := n.Recv(context.Background())
			if err != nil {
				return
			}
			if ev.Type == Whisper && ev.Name == "honest" {
				n.Whisper(ev.Peer, ev.Msg...)
			}
		}
	}()
	io.Copy(io.Discard, os.Stdin)
	return 0
}

func victimOptions() ([]Option, error) {
	if hub := os.Getenv(victimHub); hub != "" {
		return []Option{WithEndpoint(anyLocal), WithGossipBind(hub)}, nil
	}
	port, err := strconv.Atoi(os.Getenv(victimPort))
	opts := []Option{WithInterface(netlab.IsolatedInterface), WithPort(port)}
	if secret := os.Getenv(victimSecret); err == nil && secret != "" {
		var cert Cert
		cert, err = CertFromSecret(secret)
		opts = append(opts, WithCert(cert))
	}
	if allowed := os.Getenv(victimAllowed); allowed != "" {
		opts = append(opts, WithAllowedKeys(allowed))
	}
	return opts, err
}

// besieged is a node of libzyre in a process of its own, and the honest peer
// that sees how it is.
type besieged struct {
	cmd    *exec.Cmd
	log    bytes.Buffer
	ended  chan struct{}
	honest *fallback.Node
	id     UUID
	scene  *hostile.Scene
	tokens int
	seek   func() // has the honest peer look for the victim; nil: gossip tells
}

// besiege makes a victim of a kind, and the scene of an attack. The number
// gives each attack addresses of its own.
func besiege(t *testing.T, kind siege, number int) *besieged {
	t.Helper()
	address := func(host byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 1, byte(number), host}) }
	b := &besieged{ended: make(chan struct{}), scene: &hostile.Scene{
		Group: "LOAD", Addr: address(1), Other: address(2), Onward: true,
		Limits: hostile.Limits{
			HalfOpen: 512, Handshake: 10 * time.Second, Hello: 1 << 20, Groups: 4096, Foreign: 16,
			Frames: 64 << 10, Message: 64 << 20, Burst: 512, Rate: 64, Dials: 512, DialRate: 128, Send: 3 * time.Second,
		},
	}}
	kind(t, b)
	return b
}

// A siege begins a kind of victim and an honest peer that has met it.
type siege func(*testing.T, *besieged)

// hubs are victims that use gossip, on loopback.
func hubs(t *testing.T, b *besieged) {
	hub := testport.Endpoint()
	b.scene.Hub = tcpAddr(hub)
	b.begin(t, victimHub+"="+hub)
	b.befriend(t, fallback.Config{GossipConnect: []fallback.Hub{{Endpoint: hub}}})
	b.meet(t)
}

// announced are victims that use beacons.
func announced(t *testing.T, b *besieged) { b.announce(t, nil, "") }

// secured are such with CURVE.
func secured(t *testing.T, b *besieged) {
	victim, honest := newKeys(t), newKeys(t)
	b.announce(t, honest, key.Encode(victim.Public), victimSecret+"="+key.Encode(victim.Secret))
}

// closed are such whose only peer may be the honest one.
func closed(t *testing.T, b *besieged) {
	victim, honest := newKeys(t), newKeys(t)
	b.announce(t, honest, key.Encode(victim.Public), victimSecret+"="+key.Encode(victim.Secret),
		victimAllowed+"="+key.Encode(honest.Public))
}

func newKeys(t *testing.T) *key.Pair {
	pair, err := key.New()
	must(t, err)
	return &pair
}

// announce begins a victim that uses beacons, with a public key or none, and
// tells it of the honest peer, which has own keys then, in the way in which
// attacks do. What they send to the port of its beacons must reach nobody
// else: so the honest peer does not listen there.
func (b *besieged) announce(t *testing.T, own *key.Pair, publicKey string, orders ...string) {
	netlab.Need(t)
	b.scene.Port = int(beaconPort.Add(1))
	b.begin(t, append(orders, fmt.Sprintf("%s=%d", victimPort, b.scene.Port))...)
	b.befriend(t, fallback.Config{Keys: own})
	me := b.scene.Honest
	beacon := hostile.Beacon(me.ID, me.Endpoint.Port())
	if own != nil {
		var err error
		b.scene.Key, err = key.Decode(publicKey)
		must(t, err)
		beacon = hostile.KeyBeacon(me.ID, me.Endpoint.Port(), own.Public)
	}
	go func() {
		for {
			b.scene.Beacons(me.Endpoint.Addr(), beacon)
			select {
			case <-t.Context().Done():
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	at := b.meet(t)
	b.seek = func() { b.honest.RequirePeer(b.id, at, publicKey) }
}

// begin starts the victim's process.
func (b *besieged) begin(t *testing.T, orders ...string) {
	t.Helper()
	b.cmd = exec.Command(os.Args[0])
	b.cmd.Env = append(append(os.Environ(), "ZYRE_TEST_PROGRAM=victim"), orders...)
	b.cmd.Stderr = &b.log
	stdin, err := b.cmd.StdinPipe()
	must(t, err)
	must(t, b.cmd.Start())
	go func() {
		b.cmd.Wait()
		close(b.ended)
	}()
	t.Cleanup(func() {
		stdin.Close()
		select {
		case <-b.ended:
		case <-time.After(2 * time.Second):
			b.cmd.Process.Kill()
			<-b.ended
		}
	})
}

// befriend starts the honest peer, on loopback.
func (b *besieged) befriend(t *testing.T, cfg fallback.Config) {
	t.Helper()
	cfg.Name, cfg.Endpoint = "honest", testport.Endpoint()
	cfg.Evasive, cfg.Expired = 5*time.Second, 30*time.Second
	cfg.InboxLimit, cfg.SendLimit = 1<<20, 1<<20
	var err error
	b.honest, err = fallback.New(cfg)
	must(t, err)
	t.Cleanup(func() { b.honest.Close() })
	must(t, b.honest.Start(t.Context()))
	b.scene.Honest = hostile.Party{ID: b.honest.UUID(), Endpoint: tcpAddr(cfg.Endpoint)}
}

// meet waits until the honest peer knows the victim, and returns where it is.
func (b *besieged) meet(t *testing.T) (endpoint string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		ev, err := b.honest.Recv(ctx)
		must(t, err)
		if ev.Kind == fallback.Enter {
			b.id = ev.Peer
			b.scene.Victim = hostile.Party{ID: ev.Peer, Endpoint: tcpAddr(ev.Addr)}
			return ev.Addr
		}
	}
}

func tcpAddr(endpoint string) netip.AddrPort {
	return netip.MustParseAddrPort(strings.TrimPrefix(endpoint, "tcp://"))
}

// serves tells whether the victim answers its honest peer in time, and whether that
// peer has not seen it exit.
func (b *besieged) serves(within time.Duration) (answers, kept bool) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	go func() {
		select {
		case <-b.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	b.tokens++
	token := fmt.Sprint("token ", b.tokens)
	kept = b.honest.Whisper(b.id, []byte(token)) == nil
	for {
		ev, err := b.honest.Recv(ctx)
		switch {
		case err != nil:
			return false, kept
		case ev.Kind == fallback.Exit && ev.Peer == b.id:
			kept = false
			if b.seek != nil {
				b.seek()
			}
		case ev.Kind == fallback.Enter && ev.Peer == b.id:
			b.honest.Whisper(b.id, []byte(token))
		case ev.Kind == fallback.Whisper && string(ev.Msg[0]) == token:
			return true, kept
		}
	}
}

// hasHub tells whether one can still connect to the victim's hub of gossip, if
// it is one.
func (b *besieged) hasHub() bool {
	if !b.scene.Hub.IsValid() {
		return true
	}
	c, err := net.Dial("tcp", b.scene.Hub.String())
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// lastWords is what the C libraries have said at the end.
func (b *besieged) lastWords() string {
	for line := range strings.Lines(b.log.String()) {
		if i := strings.Index(line, "Assertion"); i >= 0 {
			return strings.TrimSpace(strings.ReplaceAll(line[i:], "|", "/"))
		}
		if strings.HasPrefix(line, "SIG") || strings.HasPrefix(line, "fatal error") {
			return strings.TrimSpace(line)
		}
	}
	return b.cmd.ProcessState.String()
}

// resident is the victim's largest resident size, in bytes.
func (b *besieged) resident() (n int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
	fmt.Sscan(rest, &n)
	return n << 10
}
