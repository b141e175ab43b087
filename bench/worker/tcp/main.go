// Command tcp is the worker for raw TCP: the floor that the kernel gives.
package main

import (
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/gozyre/zyre/bench/internal/protocol"
	"github.com/gozyre/zyre/bench/internal/worker"
)

func main() {
	worker.Main(worker.Library{
		Version: "package net of " + runtime.Version(),
		Open:    func(number int, req *protocol.Request) (worker.Party, error) { return open(number, req) },
	})
}

// party 0 has a connection to each other; the others have one to it.
type party struct {
	number   int
	size     int
	listener *net.TCPListener
	links    []*link
	turn     int
}

func open(number int, req *protocol.Request) (*party, error) {
	p := &party{number: number, size: req.Size}
	if number == 0 {
		return p, nil
	}
	var err error
	p.listener, err = net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	return p, err
}

func (p *party) Addr() string {
	if p.listener == nil {
		return ""
	}
	return p.listener.Addr().String()
}

func (p *party) Meet(addrs []string, deadline time.Time) (time.Time, error) {
	err := p.dial(addrs, deadline)
	if p.number != 0 {
		err = p.accept(deadline)
	}
	return time.Now(), err
}

func (p *party) dial(addrs []string, deadline time.Time) error {
	if p.number != 0 {
		return nil
	}
	dialer := net.Dialer{Deadline: deadline}
	for _, addr := range addrs[1:] {
		conn, err := dialer.Dial("tcp", addr)
		if err != nil {
			return err
		}
		p.links = append(p.links, newLink(conn, p.size, protocol.MinSize))
	}
	return nil
}

func (p *party) accept(deadline time.Time) error {
	if err := p.listener.SetDeadline(deadline); err != nil {
		return err
	}
	conn, err := p.listener.Accept()
	if err != nil {
		return err
	}
	p.links = []*link{newLink(conn, protocol.MinSize, p.size)}
	return nil
}

func (p *party) SetDeadline(t time.Time) {
	for _, l := range p.links {
		_ = l.conn.SetDeadline(t)
	}
}

func (p *party) Send(to int, msg []byte) error {
	l, err := p.link(to)
	if err != nil {
		return err
	}
	return l.send(msg)
}

// link is the connection to a party.
func (p *party) link(to int) (*link, error) {
	if p.number == 0 {
		to--
	}
	if to < 0 || to >= len(p.links) {
		return nil, fmt.Errorf("no connection to party %d", to)
	}
	return p.links[to], nil
}

func (p *party) Shout(msg []byte) error {
	for _, l := range p.links {
		if err := l.send(msg); err != nil {
			return err
		}
	}
	return nil
}

// Recv takes the connections in turn: all parties answer a shout alike.
func (p *party) Recv() (from int, msg []byte, err error) {
	if err := p.Flush(); err != nil {
		return 0, nil, err
	}
	l := p.links[p.turn]
	if p.number == 0 {
		from = p.turn + 1
	}
	p.turn = (p.turn + 1) % len(p.links)
	msg, err = l.recv()
	return from, msg, err
}

func (p *party) Flush() error {
	for _, l := range p.links {
		if err := l.flush(); err != nil {
			return err
		}
	}
	return nil
}
