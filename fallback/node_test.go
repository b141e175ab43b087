package fallback

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/testport"
)

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

// testConfig is that of a node on loopback, on a network of the test's own.
func testConfig(name string, port int) Config {
	return Config{
		Name: name, Port: port, Interval: time.Second, Interfaces: []string{"lo"},
		Evasive: 5 * time.Second, Expired: 30 * time.Second,
		InboxLimit: 16 << 20, SendLimit: 1 << 20,
	}
}

func startNode(t testing.TB, cfg Config) *Node {
	t.Helper()
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// expect reads events until one of the kinds comes.
func expect(t testing.TB, n *Node, kinds ...Kind) Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		ev, err := n.Recv(ctx)
		if err != nil {
			t.Fatalf("waiting for an event of %d: %v", kinds, err)
		}
		if slices.Contains(kinds, ev.Kind) {
			return ev
		}
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// meet starts two nodes that know each other.
func meet(t testing.TB) (a, b *Node) {
	port := testport.Next()
	a, b = startNode(t, testConfig("a", port)), startNode(t, testConfig("b", port))
	expect(t, a, Enter)
	expect(t, b, Enter)
	return a, b
}

func BenchmarkWhisper(b *testing.B) {
	for _, size := range []int{16, 1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			from, to := meet(b)
			id, msg := to.UUID(), make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				for range b.N {
					if err := from.Whisper(id, msg); err != nil {
						b.Error(err)
						return
					}
				}
			}()
			for range b.N {
				if _, err := to.Recv(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	x, y := meet(b)
	go func() {
		for {
			ev, err := y.Recv(context.Background())
			if err != nil {
				return
			}
			y.Whisper(x.UUID(), ev.Msg...)
		}
	}()
	id, msg := y.UUID(), make([]byte, 16)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		x.Whisper(id, msg)
		x.Recv(context.Background())
	}
}

// BenchmarkShout shouts to ten nodes in the same process.
func BenchmarkShout(b *testing.B) {
	port := testport.Next()
	from := startNode(b, testConfig("from", port))
	const members = 10
	var all sync.WaitGroup
	for range members {
		n := startNode(b, testConfig("to", port))
		n.Join("G")
		all.Go(func() {
			for got := 0; got < b.N; {
				ev, err := n.Recv(context.Background())
				if err != nil {
					b.Error(err)
					return
				}
				if ev.Kind == Shout {
					got++
				}
			}
		})
	}
	for len(from.GroupPeers("G")) < members {
		time.Sleep(time.Millisecond)
	}
	msg := make([]byte, 16)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		from.Shout("G", msg)
	}
	all.Wait()
	b.ReportMetric(float64(b.N)*members/b.Elapsed().Seconds(), "delivered/s")
}

// TestMillion: a million messages arrive, each once and in order.
func TestMillion(t *testing.T) {
	if testing.Short() {
		t.Skip("a million messages: not with -short")
	}
	const messages = 1_000_000
	from, to := meet(t)
	go func() {
		var msg [16]byte
		for i := range messages {
			binary.BigEndian.PutUint64(msg[:], uint64(i))
			if err := from.Whisper(to.UUID(), msg[:]); err != nil {
				t.Errorf("message %d: %v", i, err)
				return
			}
		}
	}()
	for i := range uint64(messages) {
		ev, err := to.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind != Whisper {
			t.Fatalf("event %d instead of message %d", ev.Kind, i)
		}
		if got := binary.BigEndian.Uint64(ev.Msg[0]); got != i || len(ev.Msg[0]) != 16 {
			t.Fatalf("message %d instead of %d", got, i)
		}
	}
	eventually(t, "all are counted", func() bool { return from.Stats().Sent == messages }) // after they were written
	if s := from.Stats(); s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

// BenchmarkTCP is the ceiling for BenchmarkWhisper: records of the size that a
// whisper has on the wire, through buffers of 64 KiB and without any protocol.
func BenchmarkTCP(b *testing.B) {
	for _, size := range []int{16, 1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			near, far := connPair(b)
			record := make([]byte, size+10)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				w := bufio.NewWriterSize(near, 64<<10)
				for range b.N {
					w.Write(record)
				}
				w.Flush()
			}()
			r, buf := bufio.NewReaderSize(far, 64<<10), make([]byte, len(record))
			for range b.N {
				if _, err := io.ReadFull(r, buf); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// TestKeptMessageKeepsLittle: who keeps one message does not keep those that
// came with it.
func TestKeptMessageKeepsLittle(t *testing.T) {
	const count, size = 100, 1 << 20
	a, b := meet(t)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // the first one finds what has a finalizer
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	go func() {
		frame := make([]byte, size)
		for range count {
			a.Whisper(b.UUID(), frame)
		}
	}()
	var last Event
	for range count {
		last = expect(t, b, Whisper)
	}
	if after := heap(); after > before+count*size/2 {
		t.Errorf("one of %d messages keeps %d MiB", count, (after-before)>>20)
	}
	runtime.KeepAlive(last)
}
