package gossip

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gozyre/zyre/fallback/internal/transport"
	"github.com/gozyre/zyre/fallback/internal/zmtp"
)

func listen(t *testing.T, endpoint string) net.Listener {
	t.Helper()
	l, _, err := transport.Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// byHand starts a node, and a hub that the test plays.
func byHand(t *testing.T, i int) (hub *peer, n *node) {
	t.Helper()
	l := listen(t, "inproc://byhand")
	n = named(t, i, "", "inproc://byhand")
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return shake(t, conn, &zmtp.Self{Socket: "ROUTER"}), n
}

// czmqHub treats its one client as the zgossip of czmq does.
type czmqHub struct {
	*peer
	mu      sync.Mutex
	known   bool
	invalid int
	hellos  int
	tuples  map[string]string
	forgets *time.Timer
}

// forgetTime is the silence after which czmq forgets a client.
const forgetTime = time.Second

// serveCZMQ runs such a hub, which hears everything so much later.
func serveCZMQ(t *testing.T, p *peer, lag time.Duration) *czmqHub {
	type letter struct {
		kind   kind
		tuple  tuple
		arrive time.Time
	}
	h := &czmqHub{peer: p, tuples: map[string]string{}}
	h.forgets = time.AfterFunc(forgetTime+lag, h.forget)
	letters := make(chan letter, 10000)
	var both sync.WaitGroup
	both.Go(func() {
		for l := range letters {
			time.Sleep(time.Until(l.arrive))
			h.take(l.kind, l.tuple)
		}
	})
	both.Go(func() {
		defer close(letters)
		for {
			p.conn.SetReadDeadline(time.Time{})
			k, tup, err := p.hear()
			if err != nil {
				return
			}
			letters <- letter{k, tup, time.Now().Add(lag)}
		}
	})
	t.Cleanup(func() {
		h.forgets.Stop()
		p.conn.Close()
		both.Wait()
	})
	return h
}

func (h *czmqHub) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known = false
}

func (h *czmqHub) take(k kind, tup tuple) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forgets.Reset(forgetTime)
	switch {
	case k == kindPing:
		h.say(kindPong, tuple{})
	case k == kindHello && !h.known:
		h.known = true
		h.hellos++
		for key, value := range h.tuples {
			h.say(kindPublish, tuple{key, value})
		}
	case k == kindPublish && h.known:
		if h.tuples[tup.key] != tup.value {
			h.tuples[tup.key] = tup.value
			h.say(kindPublish, tup) // the echo
		}
	default:
		h.known = false
		h.invalid++
		h.say(kindInvalid, tuple{})
	}
}

// tell is a tuple that the hub has from elsewhere.
func (h *czmqHub) tell(i int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tuples[keyOf(i)] = valueOf(i)
	if h.known {
		h.publish(i)
	}
}

// state returns what the hub has seen.
func (h *czmqHub) state(i int) (known, has bool, hellos, invalid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known, h.tuples[keyOf(i)] == valueOf(i), h.hellos, h.invalid
}

// hasAll checks that it has n tuples from this one on.
func (h *czmqHub) hasAll(t *testing.T, first, n int) {
	t.Helper()
	for i := range n {
		if _, has, _, _ := h.state(first + i); !has {
			t.Errorf("tuple %d is lost", i)
		}
	}
}

func TestCZMQDoesNotForgetUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, n := byHand(t, 1)
		hub := serveCZMQ(t, p, 0)
		time.Sleep(time.Minute)
		if known, has, hellos, invalid := hub.state(1); !known || !has || hellos != 1 || invalid != 0 {
			t.Errorf("known %v, published %v, %d times HELLO, %d times INVALID", known, has, hellos, invalid)
		}
		hub.tell(2)
		settle()
		n.knows(t, 2)
		n.Close()
	})
}

func TestCZMQThatForgotUsHearsAllAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, n := byHand(t, 1)
		hub := serveCZMQ(t, p, 0)
		settle()
		for i := range 20 {
			hub.forget()
			n.Publish(keyOf(100+i), valueOf(100+i))
			synctest.Wait()
		}
		settle()
		known, _, hellos, invalid := hub.state(1)
		if !known || invalid == 0 {
			t.Errorf("known %v after %d times INVALID", known, invalid)
		}
		if hellos > 3 {
			t.Errorf("%d times HELLO: one answers many times INVALID", hellos)
		}
		hub.hasAll(t, 100, 20)
		n.Close()
	})
}

// Where an INVALID is older than the HELLO that answers it, another HELLO
// would be refused, and so on for ever.
func TestCZMQFarAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, n := byHand(t, 1)
		hub := serveCZMQ(t, p, 5*pingEvery/2)
		settle()
		hub.forget()
		for i := range 20 {
			n.Publish(keyOf(100+i), valueOf(100+i))
			time.Sleep(pingEvery / 5)
		}
		settle()
		known, _, hellos, _ := hub.state(1)
		if !known || hellos > 3 {
			t.Errorf("known %v after %d times HELLO", known, hellos)
		}
		hub.hasAll(t, 100, 20)
		n.Close()
	})
}

// A hub that knows nobody, ever, must not be flooded.
func TestHubThatAlwaysSaysInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, n := byHand(t, 1)
		heard := make(chan int)
		go func() {
			all := 0
			for {
				if _, _, err := p.hear(); err != nil {
					heard <- all
					return
				}
				all++
				p.say(kindInvalid, tuple{})
			}
		}()
		time.Sleep(time.Minute)
		n.Close()
		if all, most := <-heard, int(3*time.Minute/pingEvery); all > most {
			t.Errorf("%d messages in a minute", all)
		}
	})
}

// A hub that is gone without a word, as after a power cut, is dialled anew.
func TestSilentHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := byHand(t, 1)
		begin := time.Now()
		p.expect(kindHello, tuple{})
		p.conn.SetReadDeadline(time.Time{})
		for {
			if _, _, err := p.hear(); err != nil {
				break
			}
		}
		if d := time.Since(begin); d > 2*silence {
			t.Errorf("given up after %v", d)
		}
	})
}

// What a hub of czmq passes on of other programs, and of hostile ones, must
// not cost the connection.
func TestForeignTuplesOfAHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, n := byHand(t, 1)
		for range 5 {
			for _, b := range foreign {
				p.write(frame(b))
			}
			p.write(frame(publishOf("some program's key", string(make([]byte, 4000)))))
		}
		p.publish(2)
		settle()
		n.knows(t, 2)
		if want := uint64(5 * (len(foreign) + 1)); n.total() != 1 || n.Refused() != want {
			t.Errorf("%d delivered, %d refused, want 1 and %d", n.total(), n.Refused(), want)
		}
	})
}
