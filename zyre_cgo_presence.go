//go:build cgo && !purego

package zyre

/*
#include <stdlib.h>
#include "zyre_cgo.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// presence is one libzyre node, from its creation to its end: started at most
// once, for libzyre's nodes are never seen again after a second start.
//
// Its methods need the engine's lock, but those of zyre_cgo_recv.go. It must
// not refer to the engine, which could then never be garbage.
type presence struct {
	c    *C.zg_node // nil once ended, which needs draining too
	id   UUID
	name string
	log  *slog.Logger

	in     *inbox
	roster *roster
	counts *counters

	guarded string // the domain of ZAP for which keys are named, or ""
	port    int    // with gossip, if known
	started bool
	net     network
	watch   *watch
	yielded time.Time // belongs to the one who waits

	calls sync.Mutex // one to the actor at a time, of those to a node that runs

	draining  sync.Mutex
	collected time.Time   // when this was last done
	arrival   time.Time   // and when there was something
	lingers   atomic.Bool // somebody stays at the socket
	events    []Event     // a buffer
	frames    [][]byte    // another
	slab      slab
	stopped   bool // the Stop event was collected
}

func newPresence(cfg *config, in *inbox, r *roster, counts *counters) (*presence, error) {
	var free cStrings
	defer free.all()
	p := &presence{in: in, roster: r, counts: counts}
	createSockets(cfg.ipv6, func() { p.c = C.zg_new(free.string(cfg.name)) })
	if p.c == nil {
		return nil, errors.New("zyre: libzyre could not create a node: out of memory")
	}
	var text [C.ZG_UUID_TEXT]C.char
	C.zg_uuid(p.c, &text[0])
	id, err := ParseUUID(C.GoString(&text[0]))
	if err != nil {
		C.zg_destroy(p.c)
		return nil, fmt.Errorf("zyre: libzyre gave a node no UUID: %w", err)
	}
	p.id, p.name = id, cfg.name
	if p.name == "" {
		p.name = id.Short() // as in libzyre
	}
	p.log = cfg.logger.With("node", cfg.name, "uuid", id.Short())
	czmqLog.add(p, cfg.logger)
	return p, nil
}

// start configures the node in the order that libzyre needs and starts it. A
// node that fails to start must be ended.
func (p *presence) start(ctx context.Context, cfg *config, plan plan, groups []string) error {
	if err := p.guard(cfg); err != nil {
		return err
	}
	p.configure(cfg, plan)
	if err := p.listen(cfg, plan); err != nil {
		return err
	}
	for _, group := range groups {
		p.join(group)
	}
	watch, err := newWatch(p.c)
	if err != nil {
		return err
	}
	p.watch = watch
	launch := func() error {
		err := p.launch(ctx, cfg, plan)
		if err != nil {
			p.end() // before the network is another's
		}
		return err
	}
	if err := startOn(plan.net, launch); err != nil {
		return err
	}
	p.net, p.started = plan.net, true
	return nil
}

// launch starts the node, one of the process at a time.
func (p *presence) launch(ctx context.Context, cfg *config, plan plan) error {
	if err := ctx.Err(); err != nil {
		return err // others have taken their time
	}
	if !plan.gossip && zyreHasDrafts() {
		return p.launchAt(ctx, cfg.peerPort, plan)
	}
	return p.begin()
}

func (p *presence) begin() error {
	if C.zg_start(p.c) != 0 {
		return errors.New("zyre: libzyre could not start the node; its log may say why, see WithLogger")
	}
	return nil
}

// launchAt starts the node on a port, or if that is 0 on one that is free. Left
// alone, libzyre listens on the first from 49152 on: that of a node which has
// just ended, whose late messages it would get. If somebody has taken the port
// since it was found free, maybe for a connection of his own, libzyre would try
// again for ever, know of nobody, and crash when it is to require a peer.
func (p *presence) launchAt(ctx context.Context, fixed int, plan plan) error {
	for tries := 1; ; tries++ {
		port := fixed
		if port == 0 {
			port = someTCPPort(plan.listenHost())
		}
		others, _, _ := sockets(port)
		C.zg_set_peer_port(p.c, C.int(port))
		if tries == 1 {
			if err := p.begin(); err != nil {
				return err
			}
		}
		if port != 0 && listens(plan.link, port, others) {
			return nil
		}
		if tries == portTries {
			return fmt.Errorf("zyre: libzyre does not listen on TCP port %d of %s, which somebody else has just taken: %w",
				port, plan.link.Name, syscall.EADDRINUSE)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(portPatience / portTries):
		}
	}
}

func (p *presence) configure(cfg *config, plan plan) {
	settings := C.zg_settings{
		interval_ms: C.size_t(cfg.interval.Milliseconds()),
		evasive_ms:  C.int(cfg.evasive.Milliseconds()),
		expired_ms:  C.int(cfg.expired.Milliseconds()),
		verbose:     cBool(cfg.logger.Enabled(noContext, slog.LevelDebug)),
	}
	if !plan.gossip {
		settings.port = C.int(cfg.port) // which would turn gossip off
	}
	C.zg_configure(p.c, &settings)

	var free cStrings
	defer free.all()
	if pair := cfg.cert.pair; cfg.cert.hasSecret() {
		C.zg_set_cert(p.c, (*C.uint8_t)(&pair.Public[0]), (*C.uint8_t)(&pair.Secret[0]))
	}
	if domain := p.domain(cfg); domain != "" {
		C.zg_set_zap_domain(p.c, free.string(domain))
	}
	for name, value := range cfg.headers {
		C.zg_set_header(p.c, free.string(name), free.string(value))
	}
	for _, group := range cfg.contests {
		C.zg_set_contest(p.c, free.string(group))
	}
	if cfg.advertised != "" {
		C.zg_set_advertised_endpoint(p.c, free.string(cfg.advertised))
	}
}

// listen opens the endpoint and the gossip of a node that has them.
func (p *presence) listen(cfg *config, plan plan) error {
	if !plan.gossip {
		return nil
	}
	var free cStrings
	defer free.all()
	for tries := 1; ; tries++ {
		endpoint, port := choosePort(plan.endpoint)
		if C.zg_set_endpoint(p.c, free.string(endpoint)) == 0 {
			p.port = port
			break
		}
		if endpoint == plan.endpoint || tries == portTries {
			return fmt.Errorf("zyre: libzyre could not listen on %q", endpoint)
		}
	}
	for _, endpoint := range cfg.gossipBind {
		C.zg_gossip_bind(p.c, free.string(endpoint))
	}
	for _, hub := range cfg.gossipConnect {
		C.zg_gossip_connect(p.c, free.string(hub.endpoint), free.string(hub.key))
	}
	return nil
}

// end stops the node if it runs, with the Stop event as the last one that is
// collected, and destroys it. Once is enough.
func (p *presence) end() {
	if p.c == nil {
		return
	}
	if p.started {
		p.stop()
		p.collect()
		p.awaitFarewells()
	}
	if p.watch != nil {
		p.watch.close() // also ends an await
	}
	p.draining.Lock()
	c := p.c
	p.c = nil
	if p.started && !p.stopped {
		// A peer that sent a message without frames has taken libzyre's.
		p.in.push([]Event{{Type: Stop, Peer: p.id, Name: p.name}})
	}
	p.roster.clear()
	p.draining.Unlock()
	C.zg_destroy(c)
	if p.started {
		leaveNetwork(p.net)
	}
	p.unguard()
	czmqLog.remove(p)
}

// farewell is how long Stop waits for its peers: that is what it promises.
var farewell = time.Second

// awaitFarewells waits until peers have closed their connections to a node that
// has stopped. With gossip they do so when they come to its GOODBYE, behind all
// that it has sent. When it is destroyed, what they have not taken is lost, and
// the GOODBYE with it.
func (p *presence) awaitFarewells() {
	if p.port == 0 {
		return
	}
	pause := time.Millisecond
	for waited := time.Duration(0); waited < farewell; waited += pause { // not while nobody runs
		if _, peers, _ := sockets(p.port); peers == 0 {
			return
		}
		time.Sleep(pause)
		pause = min(2*pause, 20*time.Millisecond)
	}
}

func (p *presence) stop() {
	p.calls.Lock()
	defer p.calls.Unlock()
	C.zg_stop(p.c)
}

func (p *presence) join(group string) {
	var free cStrings
	defer free.all()
	p.calls.Lock()
	defer p.calls.Unlock()
	C.zg_join(p.c, free.string(group))
}

func (p *presence) leave(group string) {
	var free cStrings
	defer free.all()
	p.calls.Lock()
	defer p.calls.Unlock()
	C.zg_leave(p.c, free.string(group))
}

// peerAddress returns the endpoint that the node has connected to, or "".
// Collectors may call it too.
func (p *presence) peerAddress(id UUID) string {
	var free cStrings
	defer free.all()
	p.calls.Lock()
	defer p.calls.Unlock()
	address := C.zg_peer_address(p.c, free.string(id.String()))
	defer C.free(unsafe.Pointer(address))
	return C.GoString(address)
}

func (p *presence) requirePeer(id UUID, endpoint, key string) {
	var free cStrings
	defer free.all()
	p.calls.Lock()
	defer p.calls.Unlock()
	C.zg_require_peer(p.c, free.string(id.String()), free.string(endpoint), free.string(key))
}

func (p *presence) gossipUnpublish(id UUID) {
	var free cStrings
	defer free.all()
	p.calls.Lock()
	defer p.calls.Unlock()
	C.zg_gossip_unpublish(p.c, free.string(id.String()))
}
