package worker

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

var errEmpty = errors.New("nothing left")

// script is a party that gets what is written down, and keeps what it sends.
type script struct {
	incoming [][]byte
	sent     [][]byte
}

func (s *script) Addr() string                                { return "" }
func (s *script) Meet([]string, time.Time) (time.Time, error) { return time.Time{}, nil }
func (s *script) SetDeadline(time.Time)                       {}
func (s *script) Send(_ int, msg []byte) error                { s.sent = append(s.sent, bytes.Clone(msg)); return nil }
func (s *script) Shout(msg []byte) error                      { return s.Send(0, msg) }
func (s *script) Recv() (from int, msg []byte, err error) {
	if len(s.incoming) == 0 {
		return 0, nil, errEmpty
	}
	msg, s.incoming = s.incoming[0], s.incoming[1:]
	return 1, msg, nil
}

func message(number uint64, last bool) []byte {
	msg := make([]byte, protocol.MinSize)
	protocol.Put(msg, number, last)
	return msg
}

func (s *script) acks() []uint64 {
	var list []uint64
	for _, msg := range s.sent {
		n, _ := protocol.Get(msg)
		list = append(list, n)
	}
	return list
}

func TestReceiverAcks(t *testing.T) {
	p := &script{}
	for n := range uint64(7) {
		p.incoming = append(p.incoming, message(n, n == 6))
	}
	r := receiver{party: p, size: protocol.MinSize, every: 3}
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if want := []uint64{3, 6, 7}; !slices.Equal(p.acks(), want) {
		t.Errorf("acks %v, want %v", p.acks(), want)
	}
	if r.received != 7 || r.lost != 0 || r.wrong != 0 {
		t.Errorf("%+v", r)
	}
}

// Loss, repeats, wrong order and wrong sizes are all seen.
func TestReceiverSeesFlaws(t *testing.T) {
	p := &script{incoming: [][]byte{
		message(0, false), message(3, false), // 1 and 2 are lost
		message(3, false), message(1, false), // twice, and late
		message(4, false)[:12], // cut
		message(5, true),       // 4 counts as lost
	}}
	r := receiver{party: p, size: protocol.MinSize}
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if r.received != 6 || r.lost != 3 || r.wrong != 3 {
		t.Errorf("received %d, lost %d, wrong %d", r.received, r.lost, r.wrong)
	}
	if want := []uint64{6}; !slices.Equal(p.acks(), want) {
		t.Errorf("acks %v, want %v", p.acks(), want)
	}
}

func TestReceiverReportsSilence(t *testing.T) {
	r := receiver{party: &script{incoming: [][]byte{message(0, false)}}, size: protocol.MinSize}
	if err := r.run(); !errors.Is(err, errEmpty) {
		t.Errorf("a stream without end: %v", err)
	}
}

// The sender never has more than the window on the way.
func TestSenderKeepsWindow(t *testing.T) {
	p := &script{incoming: [][]byte{message(2, false), message(5, false)}}
	s := newSender(p, &protocol.Request{Size: 16, Total: 2, Window: 4, Max: 100, WarmMS: 1000, RunMS: 1000})
	if _, err := s.run(); !errors.Is(err, errEmpty) {
		t.Fatalf("without acks: %v", err)
	}
	if len(p.sent) != 5+4 {
		t.Errorf("%d messages on the strength of an ack for five", len(p.sent))
	}
	for i, msg := range p.sent {
		if n, last := protocol.Get(msg); n != uint64(i) || last {
			t.Errorf("message %d: number %d, last %v", i, n, last)
		}
	}
}

// The number of messages is bounded, the last says that it is, and its ack
// is waited for.
func TestSenderEnds(t *testing.T) {
	p := &script{incoming: [][]byte{message(9, false), message(10, true)}}
	s := newSender(p, &protocol.Request{Size: 16, Total: 2, Max: 10, WarmMS: 60_000, RunMS: 60_000})
	if _, err := s.run(); err != nil {
		t.Fatal(err)
	}
	if _, last := protocol.Get(p.sent[len(p.sent)-1]); len(p.sent) != 10 || !last || len(p.incoming) != 0 {
		t.Errorf("%d sent, last %v, %d acks unread", len(p.sent), last, len(p.incoming))
	}
}

// A message that comes back changed is no round trip.
func TestPingChecksEcho(t *testing.T) {
	p := &script{incoming: [][]byte{message(0, false), message(0, false)}}
	if _, err := ping(p, &protocol.Request{Size: 16, RunMS: 60_000, Max: 10}); err == nil || errors.Is(err, errEmpty) {
		t.Errorf("an old message was taken for the echo: %v", err)
	}
}

func TestEchoEndsWithTheLast(t *testing.T) {
	p := &script{incoming: [][]byte{message(0, false), message(1, true), message(2, false)}}
	if err := echo(p); err != nil {
		t.Fatal(err)
	}
	if len(p.sent) != 2 || len(p.incoming) != 1 {
		t.Errorf("%d echoed, %d unread", len(p.sent), len(p.incoming))
	}
}
