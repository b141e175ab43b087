// Command libzmq is the worker for bare libzmq: a DEALER to a ROUTER, as ZRE
// uses them, with messages of one frame.
package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/gozyre/zyre/bench/internal/protocol"
	"github.com/gozyre/zyre/bench/internal/worker"
)

func main() {
	major, minor, patch := zmq4.Version()
	worker.Main(worker.Library{
		Version: fmt.Sprintf("libzmq %d.%d.%d", major, minor, patch),
		Open:    func(number int, req *protocol.Request) (worker.Party, error) { return open(number, req) },
	})
}

// party 0 has a DEALER for each other; the others have a ROUTER.
type party struct {
	router   *zmq4.Socket
	endpoint string // with CURVE and the public key behind a space
	sender   []byte // identity of party 0 at the router

	dealers []*zmq4.Socket
	turn    int
	curve   bool
}

func open(number int, req *protocol.Request) (*party, error) {
	p := &party{curve: req.Curve}
	if number == 0 {
		return p, nil
	}
	var err error
	if p.router, err = zmq4.NewSocket(zmq4.ROUTER); err != nil {
		return nil, err
	}
	key := ""
	if p.curve {
		if key, err = serveCurve(p.router); err != nil {
			return nil, err
		}
	}
	if err := p.router.Bind("tcp://127.0.0.1:*"); err != nil {
		return nil, err
	}
	endpoint, err := p.router.GetLastEndpoint()
	p.endpoint = strings.TrimSpace(endpoint + " " + key)
	return p, err
}

// serveCurve gives a listener new keys and returns the public one.
func serveCurve(s *zmq4.Socket) (public string, err error) {
	public, secret, err := zmq4.NewCurveKeypair()
	if err != nil {
		return "", err
	}
	return public, s.ServerAuthCurve("global", secret)
}

// dialCurve gives a connection new keys, and that of the other side.
func dialCurve(s *zmq4.Socket, server string) error {
	public, secret, err := zmq4.NewCurveKeypair()
	if err != nil {
		return err
	}
	return s.ClientAuthCurve(server, public, secret)
}

func (p *party) Addr() string { return p.endpoint }

func (p *party) Meet(addrs []string, _ time.Time) (time.Time, error) {
	if p.router != nil {
		return time.Now(), nil
	}
	for _, addr := range addrs[1:] {
		dealer, err := zmq4.NewSocket(zmq4.DEALER)
		if err != nil {
			return time.Time{}, err
		}
		endpoint, key, _ := strings.Cut(addr, " ")
		if p.curve {
			if err := dialCurve(dealer, key); err != nil {
				return time.Time{}, err
			}
		}
		if err := dealer.Connect(endpoint); err != nil {
			return time.Time{}, err
		}
		p.dealers = append(p.dealers, dealer)
	}
	return time.Now(), nil
}

// SetDeadline bounds each operation by the time that is left now: no look at
// the clock for each message.
func (p *party) SetDeadline(t time.Time) {
	left := time.Until(t)
	for _, s := range append(p.dealers, p.router) {
		if s != nil {
			_ = s.SetSndtimeo(left)
			_ = s.SetRcvtimeo(left)
		}
	}
}

func (p *party) Send(to int, msg []byte) error {
	if p.router == nil {
		return send(p.dealers[to-1], msg, 0)
	}
	if err := send(p.router, p.sender, zmq4.SNDMORE); err != nil {
		return err
	}
	return send(p.router, msg, 0)
}

func send(s *zmq4.Socket, frame []byte, flag zmq4.Flag) error {
	_, err := s.SendBytes(frame, flag)
	return timely(err)
}

func (p *party) Shout(msg []byte) error {
	for _, dealer := range p.dealers {
		if err := send(dealer, msg, 0); err != nil {
			return err
		}
	}
	return nil
}

// Recv takes the DEALERs in turn: all parties answer a shout alike.
func (p *party) Recv() (from int, msg []byte, err error) {
	if p.router == nil {
		dealer := p.dealers[p.turn]
		p.turn = (p.turn + 1) % len(p.dealers)
		from = p.turn
		if from == 0 {
			from = len(p.dealers)
		}
		msg, err = dealer.RecvBytes(0)
		return from, msg, timely(err)
	}
	if p.sender, err = p.router.RecvBytes(0); err == nil {
		msg, err = p.router.RecvBytes(0)
	}
	return 0, msg, timely(err)
}

var errDeadline = errors.New("deadline exceeded")

// timely says it in words when a socket's timeout has passed.
func timely(err error) error {
	if zmq4.AsErrno(err) == zmq4.Errno(syscall.EAGAIN) {
		return errDeadline
	}
	return err
}
