package gossip

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
)

// serves checks that a hub still does its work for others.
func serves(t *testing.T, hub *node, i int) {
	t.Helper()
	n := named(t, i, "", hub.hub())
	n.knows(t, 0)
	hub.knows(t, i)
}

func TestMalformedMessagesEndAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, b := range malformed {
			hub := named(t, 0, "inproc://hub")
			p := dial(t, hub.hub())
			for range maxMalformed {
				p.write(frame(b))
			}
			p.answered()
			if got := hub.Refused(); got != maxMalformed {
				t.Errorf("%s: %d refused", name, got)
			}
			p.write(frame(b))
			p.ended()
			serves(t, hub, 1)
			hub.Close()
		}
	})
}

func TestMessagesInSeveralFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		p := dial(t, hub.hub())
		publish := publishOf(keyOf(9), valueOf(9))
		p.write(zmtp.AppendFrame(nil, zmtp.More, publish))
		p.write(frame(publish))
		p.answered()
		if hub.total() != 0 || hub.Refused() != 1 {
			t.Errorf("%d tuples, %d refused", hub.total(), hub.Refused())
		}
		p.publish(8) // the next message is one again
		p.answered()
		hub.knows(t, 8)
		for range maxMalformed + 1 {
			p.write(zmtp.AppendFrame(nil, zmtp.More, nil)) // without an end
		}
		p.ended()
		serves(t, hub, 1)
	})
}

func TestOversizeFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		p := dial(t, hub.hub())
		p.write(frame(make([]byte, maxFrame)))
		p.answered() // malformed, but not too large
		p.write(zmtp.AppendHeader(nil, 0, maxFrame+1))
		p.ended()
		p = dial(t, hub.hub())
		p.write(binary.BigEndian.AppendUint64([]byte{2}, 1<<63-1))
		p.ended()
		synctest.Wait()
		if got := hub.Refused(); got != 3 {
			t.Errorf("%d refused", got)
		}
		serves(t, hub, 1)
	})
}

func TestMessagesOfTheOtherRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		p := dial(t, hub.hub())
		p.say(kindInvalid, tuple{})
		p.say(kindPong, tuple{})
		if came := p.answered(); len(came) != 0 {
			t.Errorf("a hub answers %v", came)
		}
		q, n := byHand(t, 1)
		q.say(kindHello, tuple{})
		q.say(kindPing, tuple{})
		time.Sleep(time.Second)
		n.Close()
		hellos := 0
		for {
			k, _, err := q.hear()
			if err != nil {
				break
			}
			if k == kindPong {
				t.Error("a client says PONG")
			}
			if k == kindHello {
				hellos++
			}
		}
		if hellos != 1 {
			t.Errorf("%d times HELLO", hellos)
		}
	})
}

// The commands of ZMTP itself.
func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		p := dial(t, hub.hub())
		p.write(zmtp.AppendCommand(nil, "PING", []byte("\x00\x0acontext")))
		p.conn.SetReadDeadline(time.Now().Add(patience))
		for {
			flags, body, ok, err := p.rd.Next()
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				if want := "\x04PONGcontext"; flags != zmtp.Command || string(body) != want {
					t.Errorf("%d %q", flags, body)
				}
				break
			}
			if err := p.rd.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		p.write(zmtp.AppendCommand(nil, "PING", nil))
		p.ended()
	})
}

func TestFloodOfTuples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		early := named(t, 1, "", hub.hub())
		settle()
		p := dial(t, hub.hub())
		const flood = tupleBurst + 20*tupleRate
		begin := time.Now()
		for i := range flood {
			p.publish(1000 + i)
		}
		p.answered()
		if d := time.Since(begin); d < 18*time.Second {
			t.Errorf("all taken in %v", d)
		}
		if n := len(hub.tuples()); n != maxTuples {
			t.Errorf("%d tuples", n)
		}
		if n := early.total(); n > maxTuples {
			t.Errorf("%d tuples passed on", n)
		}
		for _, n := range []*node{hub, early} {
			for i := range maxTuples {
				n.Lost(keyOf(1000 + i)) // as soon as they are found out there is room again
			}
		}
		serves(t, hub, 2)
		early.knows(t, 2)
	})
}

func TestFlappingValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		n := named(t, 1, "", hub.hub())
		settle()
		p := dial(t, hub.hub())
		begin := time.Now()
		for i := range 10 * tupleBurst {
			p.say(kindPublish, tuple{keyOf(9), valueOf(i)})
		}
		p.answered()
		synctest.Wait()
		most := (1 + maxChanges) * int(2+time.Since(begin)/settleTime)
		if got := n.count(keyOf(9)); got > most {
			t.Errorf("passed on %d times, at most %d would do", got, most)
		}
		serves(t, hub, 2)
	})
}

// A client that does not read costs a limited amount of memory, and is closed.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		dial(t, hub.hub()).say(kindHello, tuple{})
		settle()
		for i := range 50000 {
			hub.Publish(keyOf(0), valueOf(i))
		}
		synctest.Wait()
		if n := hub.clients(); n != 0 {
			t.Errorf("%d clients are left", n)
		}
		hub.Publish(keyOf(0), valueOf(0))
		serves(t, hub, 1)
	})
}

func TestClientThatReadsTooSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		dial(t, hub.hub())
		settle()
		for i := range 2000 { // more than a pipe holds, less than the limit
			hub.Publish(keyOf(0), valueOf(i))
		}
		time.Sleep(writeTime + time.Second)
		synctest.Wait()
		if n := hub.clients(); n != 0 {
			t.Errorf("%d clients are left", n)
		}
	})
}

// clients is how many clients the hub has.
func (g *Gossip) clients() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for l := range g.links {
		if l.hub {
			n++
		}
	}
	return n
}

// Each HELLO asks for the whole table, which must not pile up.
func TestFloodOfHellos(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		for i := 1; i < maxTuples; i++ {
			hub.Publish(keyOf(i), valueOf(i))
		}
		p := dial(t, hub.hub())
		for range 1000 {
			p.say(kindHello, tuple{})
		}
		for i := range 1000 {
			p.say(kindPing, tuple{})
			p.write(zmtp.AppendCommand(nil, "PING", []byte{0, 0, byte(i)}))
		}
		settle()
		came, pongs := 0, 0
		for pongs == 0 {
			switch k, _, err := p.hear(); {
			case err != nil:
				t.Fatal(err)
			case k == kindPublish:
				came++
			default:
				p.say(kindPing, tuple{}) // those before were not worth an answer
				pongs++
			}
			if came == maxTuples {
				break
			}
		}
		if came < maxTuples || came > 4*maxTuples {
			t.Errorf("%d tuples came for 1000 times HELLO", came)
		}
	})
}

func TestFloodOfPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		p := dial(t, hub.hub())
		p.write(bytes.Repeat(frame(appendMessage(nil, kindPing, tuple{})), maxPending/4))
		settle()
		if n := hub.clients(); n != 1 {
			t.Fatal("the answers have piled up")
		}
		p.answered()
	})
}

func TestWhatMeansNothingElsewhere(t *testing.T) {
	// A connection from afar neither brings nor gets what is of this host.
	far, near := &link{}, &link{local: true}
	for _, c := range []struct {
		value     string
		near, far bool
	}{
		{"tcp://127.0.0.1:5000", true, true},
		{"ipc:///run/zyre", true, false},
		{"inproc://zyre", true, false},
	} {
		tup := tuple{someKey, c.value}
		if near.carries(tup) != c.near || far.carries(tup) != c.far {
			t.Errorf("%s: near %v, far %v", c.value, near.carries(tup), far.carries(tup))
		}
	}
	sealed := &link{local: true, sealer: &zmtp.Sealer{}}
	if sealed.carries(tuple{someKey, valueOf(1)}) || !sealed.carries(tuple{someKey, valueOf(1) + "|" + somePublic}) {
		t.Error("CURVE: a tuple without a key, or none with it")
	}
}

func TestSilentConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		for range 2000 {
			conn := connectTo(t, hub.hub())
			defer conn.Close()
		}
		synctest.Wait()
		if n := hub.clients(); n > maxHalfOpen {
			t.Errorf("%d have not shaken hands", n)
		}
		serves(t, hub, 1)
		time.Sleep(handshakeTime)
		synctest.Wait()
		if n := hub.clients(); n != 1 {
			t.Errorf("%d clients after the time to shake hands", n)
		}
		if n := hub.Refused(); n != 2000 {
			t.Errorf("%d refused", n)
		}
	})
}

func TestConnectionsThatSayNonsense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := named(t, 0, "inproc://hub")
		for _, hello := range []string{"GET / HTTP/1.1\r\n\r\n", string(make([]byte, 64)), "\x01\x00"} {
			conn := connectTo(t, hub.hub())
			conn.Write([]byte(hello))
			conn.SetReadDeadline(time.Now().Add(patience))
			buf := make([]byte, 1000)
			for {
				if _, err := conn.Read(buf); err != nil {
					break
				}
			}
			conn.Close()
		}
		synctest.Wait()
		if n := hub.Refused(); n != 3 {
			t.Errorf("%d refused", n)
		}
		serves(t, hub, 1)
	})
}

// One host cannot take all the places.
func TestManyConnectionsOfOneHost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8 without being told")
	}
	hub := named(t, 0, "tcp://127.0.0.1:*")
	open := 0
	for range maxPerHost + 200 {
		conn := dialFrom(t, "127.0.0.2", hub.hub())
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		if _, _, err := zmtp.Handshake(conn, &zmtp.Self{Socket: "DEALER"}, 1000); err == nil {
			open++
		}
	}
	if open != maxPerHost {
		t.Errorf("%d connections of one host", open)
	}
	serves(t, hub, 1)
	if n := hub.Refused(); n != 200 {
		t.Errorf("%d refused", n)
	}
}

// Many who come and go leave nothing behind.
func TestComingAndGoing(t *testing.T) {
	hub := named(t, 0, "tcp://127.0.0.1:*")
	for i := range 300 {
		p := dial(t, hub.hub())
		p.say(kindHello, tuple{})
		p.publish(i % 10)
		if i%2 == 0 {
			p.answered()
		}
		p.conn.Close()
	}
	serves(t, hub, 11)
	for deadline := time.Now().Add(patience); hub.clients() != 1; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d clients are left", hub.clients())
		}
	}
	if n := len(hub.tuples()); n > 12 {
		t.Error("tuples: " + strconv.Itoa(n))
	}
}
