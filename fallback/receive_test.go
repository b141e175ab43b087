package fallback

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"testing"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/rule"
)

// stream is what a peer sends that whispers without end: a round of sequence
// numbers, or a part of it, again and again.
type stream struct {
	bytes []byte
	at    int
}

func newStream(size int) *stream {
	var b batch
	frames := [][]byte{make([]byte, size)}
	for seq := range 1 << 16 {
		b.message(zre.KindWhisper, uint16(seq), "", frames)
	}
	return &stream{bytes: b.buf}
}

func (s *stream) Read(p []byte) (int, error) {
	n := copy(p, s.bytes[s.at:])
	s.at = (s.at + n) % len(s.bytes)
	return n, nil
}

// receiver returns a connection of a peer that sends this.
func receiver(t testing.TB, sent io.Reader) *inbound {
	n, err := New(testConfig("to", 0))
	if err != nil {
		t.Fatal(err)
	}
	pr := newPresence(n, n.id)
	p := &peer{pr: pr, id: UUID{1}, at: tcpPlace(netip.MustParseAddrPort("127.0.0.1:2000")), out: newSender(1<<20, &pr.pace), name: "from", want: 0}
	p.src.entered = true
	return &inbound{pr: pr, conn: &line{}, peer: p, rd: zmtp.NewReader(sent, rule.MaxMessage)}
}

// A first frame can be as large as any, and the message be none of ours.
func TestLargeFirstFrameIsNotKept(t *testing.T) {
	foreign := make([]byte, 1<<20)
	in := receiver(t, bytes.NewReader(zmtp.AppendFrame(nil, 0, foreign)))
	for in.foreign == 0 {
		if err := in.readLent(); err != nil {
			t.Fatal(err)
		}
	}
	if room := cap(in.head) + in.rd.Held(); room > 64<<10 {
		t.Errorf("%d bytes are kept", room)
	}
}

// What many messages in one read need is not kept by each connection that has
// ever brought so many.
func TestRoomForManyEventsIsShared(t *testing.T) {
	burst := newStream(0).bytes
	var all []*inbound
	for range 20 {
		in := receiver(t, bytes.NewReader(burst))
		if len(all) > 0 {
			in.pr = all[0].pr
		}
		all = append(all, in)
	}
	for _, in := range all {
		largest := 0
		for in.readLent() == nil {
			events, _ := in.pr.node.inbox.size()
			for range events {
				if _, err := in.pr.node.Recv(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			largest = max(largest, events)
		}
		if largest < 10*largeBatch {
			t.Fatalf("no more than %d events in a read", largest)
		}
		if room := cap(in.events) + cap(in.few); room >= 2*largeBatch {
			t.Errorf("a connection keeps room for %d events", room)
		}
	}
	b := all[0].pr.node.inbox
	if room := b.spareRoom; room > maxSpareRoom || room < largeBatch {
		t.Errorf("room for %d events is spare", room)
	}
	for _, spare := range b.spare {
		for _, ev := range spare[:cap(spare)] {
			if ev.Kind != 0 || ev.Msg != nil {
				t.Fatal("spare room holds events")
			}
		}
	}
}

// BenchmarkReceive is all that is done for a message from a read to Recv,
// without the network.
func BenchmarkReceive(b *testing.B) {
	for _, size := range []int{16, 1 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			in := receiver(b, newStream(size))
			n := in.pr.node
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for got := 0; got < b.N; {
				if err := in.readLent(); err != nil {
					b.Fatal(err)
				}
				for events, _ := n.inbox.size(); events > 0; events-- {
					if _, err := n.Recv(ctx); err != nil {
						b.Fatal(err)
					}
					got++
				}
			}
		})
	}
}
