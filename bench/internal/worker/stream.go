package worker

import (
	"fmt"
	"slices"
	"time"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

// sender streams messages for a time, at most a window ahead of the slowest
// receiver.
type sender struct {
	party  Party
	shout  bool
	msg    []byte
	window uint64
	limit  uint64   // messages
	acked  []uint64 // by each receiver
	sent   uint64

	warmFor, runFor time.Duration
	stride          uint64 // messages between two looks at the clock
}

func newSender(p Party, req *protocol.Request) *sender {
	s := &sender{
		party:   p,
		shout:   req.Shout,
		msg:     make([]byte, req.Size),
		window:  uint64(req.Window),
		limit:   uint64(req.Max),
		acked:   make([]uint64, req.Total-1),
		warmFor: time.Duration(req.WarmMS) * time.Millisecond,
		runFor:  time.Duration(req.RunMS) * time.Millisecond,
		stride:  1,
	}
	if req.Size <= 4096 {
		s.stride = 64
	}
	return s
}

// run measures from the end of the warm-up to the last ack.
func (s *sender) run() (protocol.Reply, error) {
	if err := s.stream(time.Now().Add(s.warmFor)); err != nil {
		return protocol.Reply{}, err
	}
	before, start := s.sent, time.Now()
	if err := s.stream(start.Add(s.runFor)); err != nil {
		return protocol.Reply{}, err
	}
	if err := s.finish(); err != nil {
		return protocol.Reply{}, err
	}
	return protocol.Reply{Messages: int64(s.sent - before), ElapsedNS: int64(time.Since(start))}, nil
}

func (s *sender) stream(until time.Time) error {
	// One is left for the message that says it is the last.
	for s.sent+1 < s.limit {
		if s.sent%s.stride == 0 && time.Now().After(until) {
			return nil
		}
		if err := s.send(false); err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) finish() error {
	if err := s.send(true); err != nil {
		return err
	}
	return s.await(s.sent)
}

func (s *sender) send(last bool) error {
	if s.window > 0 && s.sent >= s.window {
		if err := s.await(s.sent - s.window + 1); err != nil {
			return err
		}
	}
	protocol.Put(s.msg, s.sent, last)
	s.sent++
	if s.shout {
		return s.party.Shout(s.msg)
	}
	return s.party.Send(1, s.msg)
}

// await reads acks until every receiver has that many messages.
func (s *sender) await(count uint64) error {
	for slices.Min(s.acked) < count {
		from, msg, err := s.party.Recv()
		if err != nil {
			return fmt.Errorf("%d messages sent, acks for %v: %w", s.sent, s.acked, err)
		}
		if from < 1 || from > len(s.acked) {
			return fmt.Errorf("ack from party %d", from)
		}
		s.acked[from-1], _ = protocol.Get(msg)
	}
	return nil
}

// receiver counts messages and checks their numbers.
type receiver struct {
	party Party
	size  int
	every uint64 // messages to an ack; 0: only the last has one

	next     uint64 // number expected
	acked    uint64
	received int64
	lost     int64
	wrong    int64
}

func (r *receiver) run() error {
	ack := make([]byte, protocol.MinSize)
	for {
		_, msg, err := r.party.Recv()
		if err != nil {
			return fmt.Errorf("%d messages received, %d lost: %w", r.received, r.lost, err)
		}
		last := r.count(msg)
		if !last && (r.every == 0 || r.next-r.acked < r.every) {
			continue
		}
		r.acked = r.next
		protocol.Put(ack, r.next, last)
		if err := r.party.Send(0, ack); err != nil {
			return fmt.Errorf("ack: %w", err)
		}
		if last {
			return flush(r.party)
		}
	}
}

// count checks one message and reports whether it is the last.
func (r *receiver) count(msg []byte) (last bool) {
	r.received++
	if len(msg) != r.size || len(msg) < protocol.MinSize {
		r.wrong++
		return false
	}
	number, last := protocol.Get(msg)
	switch {
	case number > r.next:
		r.lost += int64(number - r.next)
	case number < r.next:
		r.wrong++
		return last
	}
	r.next = number + 1
	return last
}
