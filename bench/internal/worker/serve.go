package worker

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

// Main serves the requests on standard input. At its end the process ends,
// whatever it is doing: the benchmark has stopped, or has died.
func Main(lib Library) {
	requests := make(chan protocol.Request)
	go func() {
		read(os.Stdin, requests)
		os.Exit(0)
	}()
	s := server{lib: lib}
	out := json.NewEncoder(os.Stdout)
	for req := range requests {
		reply, err := s.profiled(&req)
		if err != nil {
			reply.Error = err.Error()
		}
		if out.Encode(reply) != nil {
			return
		}
	}
}

func read(in io.Reader, requests chan<- protocol.Request) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var req protocol.Request
		if err := json.Unmarshal(lines.Bytes(), &req); err != nil {
			fmt.Fprintln(os.Stderr, "request:", err)
			return
		}
		requests <- req
	}
}

// server has the parties of one process.
type server struct {
	lib     Library
	parties []Party
}

// profiled does a request and writes a CPU profile of it, if one is wanted.
func (s *server) profiled(req *protocol.Request) (protocol.Reply, error) {
	if req.Profile == "" {
		return s.do(req)
	}
	f, err := os.Create(req.Profile)
	if err != nil {
		return protocol.Reply{}, err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return protocol.Reply{}, err
	}
	defer pprof.StopCPUProfile()
	return s.do(req)
}

func (s *server) do(req *protocol.Request) (protocol.Reply, error) {
	if req.Do == protocol.Open {
		return s.open(req)
	}
	if len(s.parties) == 0 {
		return protocol.Reply{}, fmt.Errorf("%s before open", req.Do)
	}
	deadline := req.Deadline()
	switch req.Do {
	case protocol.Meet:
		return s.meet(req.Addrs, deadline)
	case protocol.Peers:
		return s.peers()
	}
	for _, p := range s.parties {
		p.SetDeadline(deadline)
	}
	switch req.Do {
	case protocol.Send:
		return newSender(s.parties[0], req).run()
	case protocol.Receive:
		return s.receive(req)
	case protocol.Ping:
		return ping(s.parties[0], req)
	case protocol.Echo:
		return protocol.Reply{}, echo(s.parties[0])
	}
	return protocol.Reply{}, fmt.Errorf("unknown request %q", req.Do)
}

func (s *server) open(req *protocol.Request) (protocol.Reply, error) {
	reply := protocol.Reply{Version: s.lib.Version}
	for i := range req.Nodes {
		p, err := s.lib.Open(req.First+i, req)
		if err != nil {
			return reply, fmt.Errorf("open party %d: %w", req.First+i, err)
		}
		s.parties = append(s.parties, p)
		reply.Addrs = append(reply.Addrs, p.Addr())
	}
	reply.AtNS = time.Now().UnixNano()
	return reply, nil
}

// each runs f for all parties at once and returns an error of one of them.
func (s *server) each(f func(Party) error) error {
	errs := make(chan error, len(s.parties))
	for _, p := range s.parties {
		go func() { errs <- f(p) }()
	}
	var failed error
	for range s.parties {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	return failed
}

// meet answers with the time when the last party could reach all others.
func (s *server) meet(addrs []string, deadline time.Time) (protocol.Reply, error) {
	var mu sync.Mutex
	var last time.Time
	err := s.each(func(p Party) error {
		at, err := p.Meet(addrs, deadline)
		mu.Lock()
		defer mu.Unlock()
		if at.After(last) {
			last = at
		}
		return err
	})
	return protocol.Reply{AtNS: last.UnixNano()}, err
}

// receive counts what all parties of this process get.
func (s *server) receive(req *protocol.Request) (protocol.Reply, error) {
	var mu sync.Mutex
	var total protocol.Reply
	err := s.each(func(p Party) error {
		r := receiver{party: p, size: req.Size, every: uint64(req.Every)}
		err := r.run()
		mu.Lock()
		defer mu.Unlock()
		total.Messages += r.received
		total.Lost += r.lost
		total.Wrong += r.wrong
		return err
	})
	return total, err
}

func (s *server) peers() (protocol.Reply, error) {
	fewest := math.MaxInt
	for _, p := range s.parties {
		m, ok := p.(meeter)
		if !ok {
			return protocol.Reply{}, errors.New("parties of this library do not know each other")
		}
		fewest = min(fewest, m.Peers())
	}
	return protocol.Reply{Fewest: fewest}, nil
}
