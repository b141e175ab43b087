// Command zyre is the worker for package zyre; the build tag purego decides
// with which engine.
package main

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/bench/internal/protocol"
	"github.com/gozyre/zyre/bench/internal/worker"
)

const group = "BENCH"

// large is the size from which on messages have memory to release.
const large = 64 << 10

func main() {
	worker.Main(worker.Library{
		Version: zyre.Version(),
		Open:    func(number int, req *protocol.Request) (worker.Party, error) { return open(number, req) },
	})
}

// party is a node whose name is its number.
type party struct {
	node *zyre.Node
	idle bool

	meeting context.Context // bounds the time to meet
	met     chan struct{}   // closed when all others are known, or when that failed
	metAt   time.Time
	err     error
	numbers map[zyre.UUID]int
	uuids   map[int]zyre.UUID
	gone    atomic.Int64 // peers that have left since

	ctx        context.Context
	cancel     context.CancelFunc
	release    bool
	last       zyre.Event // to be released
	lastPeer   zyre.UUID  // the one that the last message came from
	lastNumber int
}

func open(number int, req *protocol.Request) (*party, error) {
	opts := options(number, req)
	if req.Curve {
		cert, err := zyre.NewCert()
		if err != nil {
			return nil, err
		}
		opts = append(opts, zyre.WithCert(cert))
	}
	node, err := zyre.New(strconv.Itoa(number), opts...)
	if err != nil {
		return nil, err
	}
	for i := range req.Groups {
		if err := node.Join("G" + strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	if err := node.Join(group); err != nil { // the last one that peers hear of
		return nil, err
	}
	p := &party{
		node:    node,
		idle:    req.Idle,
		release: req.Size >= large && !req.Keep,
		met:     make(chan struct{}),
		numbers: make(map[zyre.UUID]int, req.Total),
		uuids:   make(map[int]zyre.UUID, req.Total),
		cancel:  func() {},
	}
	var done context.CancelFunc
	p.meeting, done = context.WithDeadline(context.Background(), req.Deadline())
	if err := node.Start(p.meeting); err != nil {
		done()
		return nil, err
	}
	go func() {
		defer done()
		p.welcome(req.Total - 1)
	}()
	return p, nil
}

func options(number int, req *protocol.Request) []zyre.Option {
	if req.Hub == "" {
		return []zyre.Option{zyre.WithInterface(req.Interface), zyre.WithPort(req.Port)}
	}
	gossip := zyre.WithGossipConnect(req.Hub)
	if number == 0 {
		gossip = zyre.WithGossipBind(req.Hub)
	}
	return []zyre.Option{zyre.WithEndpoint("tcp://127.0.0.1:*"), gossip}
}

// welcome reads events until all others are known, and are in the group. An
// idle party goes on reading, as an application does.
func (p *party) welcome(others int) {
	p.err = p.learn(others)
	p.metAt = time.Now()
	close(p.met)
	if !p.idle || p.err != nil {
		return
	}
	for ev := range p.node.Events(context.Background()) {
		if ev.Type == zyre.Exit {
			p.gone.Add(1)
		}
	}
}

func (p *party) learn(others int) error {
	joined := 0
	for joined < others || len(p.numbers) < others {
		ev, err := p.node.Recv(p.meeting)
		if err != nil {
			return fmt.Errorf("knows %d of %d others, %d in the group: %w", len(p.numbers), others, joined, err)
		}
		switch ev.Type {
		case zyre.Enter:
			number, err := strconv.Atoi(ev.Name)
			if err != nil {
				return fmt.Errorf("a stranger: %v", ev)
			}
			p.numbers[ev.Peer], p.uuids[number] = number, ev.Peer
		case zyre.Join:
			if ev.Group == group {
				joined++
			}
		case zyre.Exit:
			return fmt.Errorf("lost while meeting: %v", ev)
		}
	}
	return nil
}

func (p *party) Addr() string { return "" }

func (p *party) Meet([]string, time.Time) (time.Time, error) {
	<-p.met
	return p.metAt, p.err
}

func (p *party) SetDeadline(t time.Time) {
	p.cancel()
	p.ctx, p.cancel = context.WithDeadline(context.Background(), t)
}

func (p *party) Send(to int, msg []byte) error { return p.node.Whisper(p.uuids[to], msg) }

func (p *party) Shout(msg []byte) error { return p.node.Shout(group, msg) }

func (p *party) Recv() (from int, msg []byte, err error) {
	for {
		p.last.Release()
		ev, err := p.node.Recv(p.ctx)
		if err != nil {
			return 0, nil, err
		}
		if p.release {
			p.last = ev
		}
		switch ev.Type {
		case zyre.Whisper, zyre.Shout:
			return p.number(ev.Peer), ev.Msg[0], nil
		case zyre.Exit:
			return 0, nil, fmt.Errorf("peer has left: %v", ev)
		}
	}
}

// number spares the map while messages come from the same peer.
func (p *party) number(peer zyre.UUID) int {
	if peer != p.lastPeer {
		p.lastPeer, p.lastNumber = peer, p.numbers[peer]
	}
	return p.lastNumber
}

func (p *party) Peers() int { return len(p.numbers) - int(p.gone.Load()) }
