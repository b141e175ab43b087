//go:build cgo && !purego

package zyre

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// closeTimeout is how long Close waits for libzyre to end a node: normally a
// few milliseconds. A caller of Close must get control back whatever happens.
// All of that time may pass while nobody runs, so he gives it some more then.
const (
	closeTimeout = 10 * time.Second
	closeRespite = time.Second
)

// freshness is how old the roster may be when a message is sent.
const freshness = time.Millisecond

// engine is the engine over libzyre.
//
// It has two halves. Control is everything that talks to the node's actor
// thread: one call at a time, under mu. Events are collected from libzyre's
// socket into the inbox by whoever needs them, a Recv that waits or a query,
// and on their way they keep the roster of peers. So queries never ask the
// actor, and are right up to the last thing that libzyre has told of, whether
// the application has read its events or not.
//
// Of the options, WithInboxLimit and WithSendTimeout have no effect here, and
// WithSilentTimeout neither: libzyre keeps it in the same variable as the
// evasive timeout, which it would overwrite. WithSendLimit bounds what waits
// for the actor, not what waits for a peer.
type engine struct {
	cfg    *config
	in     *inbox
	roster *roster
	counts *counters

	live atomic.Pointer[presence] // node while it is started, also without mu

	mu      sync.Mutex
	closed  bool
	id      UUID      // of node, or the last one
	node    *presence // nil if none is needed yet, or the last was stopped
	cleanup runtime.Cleanup
	joined  []string
	out     sender
}

func newEngine(cfg *config) (*engine, error) {
	if err := initLibrary(); err != nil {
		return nil, err
	}
	if err := checkSupported(cfg); err != nil {
		return nil, err
	}
	return &engine{
		cfg:    cfg,
		in:     newInbox(),
		roster: newRoster(),
		counts: &counters{},
		out:    sender{limit: cfg.sendLimit},
	}, nil
}

// prepare makes sure that there is a libzyre node, running or not. Holding mu.
func (e *engine) prepare() error {
	if e.closed {
		return ErrClosed
	}
	if e.node != nil {
		return nil
	}
	node, err := newPresence(e.cfg, e.in, e.roster, e.counts)
	if err != nil {
		return err
	}
	e.node, e.id = node, node.id
	// A Node that was dropped without Close must not leave threads behind.
	e.cleanup = runtime.AddCleanup(e, func(p *presence) { go p.end() }, node)
	return nil
}

// release forgets the libzyre node and returns it, to be ended. Holding mu.
func (e *engine) release() *presence {
	node := e.node
	if node != nil {
		e.cleanup.Stop()
	}
	e.live.Store(nil)
	e.node, e.out.unsettled = nil, load{}
	return node
}

// running answers why a call that needs a started node cannot be done.
// Holding mu.
func (e *engine) running() error {
	switch {
	case e.closed:
		return ErrClosed
	case e.live.Load() == nil:
		return ErrNotStarted
	}
	return nil
}

func (e *engine) start(ctx context.Context) error {
	node, plan, err := e.launch(ctx)
	if err != nil {
		return err
	}
	// Not before: who handles the log may ask the engine, which was locked.
	node.log.Info("zyre: node started", "interface", plan.net.iface, "why", plan.why, "gossip", plan.gossip)
	return nil
}

// launch starts a libzyre node and returns it, and how that was done.
func (e *engine) launch(ctx context.Context) (*presence, plan, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return nil, plan{}, ErrClosed
	case e.live.Load() != nil:
		return nil, plan{}, ErrStarted
	case ctx.Err() != nil:
		return nil, plan{}, ctx.Err()
	}
	plan, err := planStart(ctx, e.cfg)
	if err != nil {
		return nil, plan, err
	}
	if err := e.prepare(); err != nil {
		return nil, plan, err
	}
	if err := e.node.start(ctx, e.cfg, plan, e.joined); err != nil {
		// What libzyre was told cannot be taken back: begin anew next time.
		e.release().end()
		return nil, plan, err
	}
	e.live.Store(e.node)
	e.in.start()
	return e.node, plan, nil
}

// stop ends the libzyre node: it cannot be started twice.
func (e *engine) stop() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.running(); err != nil {
		return err
	}
	e.release().end()
	return nil
}

func (e *engine) close() error {
	e.in.close()
	if node := e.live.Load(); node != nil {
		node.interrupt()
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.closed = true
		if node := e.release(); node != nil {
			node.end()
		}
	}()
	for _, patience := range []time.Duration{closeTimeout, closeRespite} {
		select {
		case <-ended:
			return nil
		case <-time.After(patience):
		}
	}
	return fmt.Errorf("zyre: libzyre has not ended node %q within %v; its threads are left behind", e.cfg.name, closeTimeout)
}

func (e *engine) join(group string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	if slices.Contains(e.joined, group) {
		return nil
	}
	e.joined = append(e.joined, group)
	if e.live.Load() != nil {
		e.node.join(group)
	}
	return nil
}

func (e *engine) leave(group string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	i := slices.Index(e.joined, group)
	if i < 0 {
		return nil
	}
	e.joined = slices.Delete(e.joined, i, i+1)
	if e.live.Load() != nil {
		e.node.leave(group)
	}
	return nil
}

func (e *engine) whisper(peer UUID, frames [][]byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.running(); err != nil {
		return err
	}
	if !e.knows(peer) {
		return fmt.Errorf("%w: %s", ErrUnknownPeer, peer)
	}
	size := e.out.whisper(e.node, peer, frames)
	e.counts.sent(1, size)
	return nil
}

// knows reports whether a peer has entered. An exit is noticed soon, and for
// certain once the application has been told.
func (e *engine) knows(peer UUID) bool {
	e.node.updateEvery(freshness)
	if e.roster.has(peer) {
		return true
	}
	e.node.update()
	return e.roster.has(peer)
}

func (e *engine) shout(group string, frames [][]byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.running(); err != nil {
		return err
	}
	size := e.out.shout(e.node, group, frames)
	e.counts.sent(e.roster.groupSize(group), size)
	return nil
}

func (e *engine) recv(ctx context.Context) (Event, error) {
	ev, err := e.in.recv(ctx, e.live.Load)
	runtime.KeepAlive(e) // or its cleanup could end the node that is waited for
	return ev, err
}

// uuid needs a libzyre node, which makes it up. Before the first start there
// may be none yet; one that cannot be made is Start's to report.
func (e *engine) uuid() UUID {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.id.IsZero() {
		_ = e.prepare()
	}
	return e.id
}

func (e *engine) name() string {
	if e.cfg.name != "" {
		return e.cfg.name
	}
	return e.uuid().Short()
}

func (e *engine) groups() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.joined)
}

// current returns the roster, brought up to date.
func (e *engine) current() *roster {
	if node := e.live.Load(); node != nil {
		node.update()
	}
	return e.roster
}

func (e *engine) peers() []UUID                  { return e.current().peers() }
func (e *engine) groupPeers(group string) []UUID { return e.current().groupPeers(group) }
func (e *engine) peerGroups() []string           { return e.current().groupNames() }

// peer adds to the roster's knowledge where libzyre has connected to.
func (e *engine) peer(id UUID) (Peer, bool) {
	p, ok := e.current().peer(id)
	if !ok {
		return Peer{}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.live.Load() != nil {
		if endpoint := e.node.peerAddress(id); endpoint != "" {
			p.Endpoint = endpoint
		}
	}
	return p, true
}

func (e *engine) requirePeer(id UUID, endpoint, key string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.running(); err != nil {
		return err
	}
	if err := checkRequirePeer(e.cfg, endpoint, key); err != nil {
		return err
	}
	e.node.requirePeer(id, endpoint, key)
	return nil
}

func (e *engine) gossipUnpublish(id UUID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.running(); err != nil {
		return err
	}
	if err := checkGossipUnpublish(e.cfg); err != nil {
		return err
	}
	e.node.gossipUnpublish(id)
	return nil
}

func (e *engine) stats() Stats {
	roster := e.current()
	s := e.counts.stats()
	s.Peers, s.Entered, s.Exited = roster.totals()
	s.InboxEvents, s.InboxBytes = e.in.waiting()
	return s
}

func (e *engine) dump(w io.Writer) error {
	e.mu.Lock()
	state := "stopped"
	if e.closed {
		state = "closed"
	} else if e.live.Load() != nil {
		state = "started"
	}
	id, groups := e.id, slices.Clone(e.joined)
	e.mu.Unlock()
	if _, err := fmt.Fprintf(w, "node %q %s %s (%s)\n  groups %q\n", e.name(), id, state, engineVersion(), groups); err != nil {
		return err
	}
	return e.current().dump(w)
}
