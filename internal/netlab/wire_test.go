//go:build linux

package netlab

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"
)

// shaped makes two hosts, the line of the first of which can be bad.
func shaped(t *testing.T) (h *Host, from, to *net.UDPConn, at netip.Addr) {
	t.Helper()
	lab := New(t)
	h1, h2 := lab.Host("h1"), lab.Host("h2")
	h1.Shape(Line{})
	from, to = listen(t, h1), listen(t, h2)
	if !hears(t, to, from, h2.Addr().String(), patience) || !hears(t, from, to, "10.77.0.255", patience) {
		t.Fatal("hosts do not hear each other over a shaped line")
	}
	return h1, from, to, h2.Addr()
}

// arrivals sends numbered packets and returns which came, in their order.
func arrivals(t *testing.T, from, to *net.UDPConn, at netip.Addr, count int) (numbers []uint32) {
	t.Helper()
	for i := range count {
		from.WriteTo(binary.BigEndian.AppendUint32(nil, uint32(i)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 7000)))
	}
	buf := make([]byte, 100)
	for quiet := 0; quiet < 2; { // seconds: until no more come
		to.SetReadDeadline(time.Now().Add(time.Second))
		n, err := to.Read(buf)
		switch {
		case err != nil:
			quiet++
		case n == 4:
			numbers = append(numbers, binary.BigEndian.Uint32(buf))
		}
	}
	return numbers
}

func TestDelay(t *testing.T) {
	t.Parallel()
	h, from, to, at := shaped(t)
	h.Shape(Line{Delay: 50 * time.Millisecond, Jitter: 20 * time.Millisecond})
	begin := time.Now()
	if !hears(t, to, from, at.String(), patience) {
		t.Fatal("nothing arrives")
	}
	if took := time.Since(begin); took < 30*time.Millisecond {
		t.Errorf("a packet took only %v", took)
	}
	got := arrivals(t, from, to, at, 200)
	if len(got) != 200 || !slices.IsSorted(got) {
		t.Errorf("jitter lost or reordered packets: %v", got)
	}
}

func TestReorder(t *testing.T) {
	t.Parallel()
	h, from, to, at := shaped(t)
	h.Shape(Line{Reorder: 20})
	got := arrivals(t, from, to, at, 200)
	if slices.IsSorted(got) {
		t.Error("no packet was overtaken")
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 200 {
		t.Errorf("of 200 packets there came %v", got)
	}
}

func TestDuplicate(t *testing.T) {
	t.Parallel()
	h, from, to, at := shaped(t)
	h.Shape(Line{Duplicate: 20})
	got := arrivals(t, from, to, at, 200)
	if len(got) == 200 {
		t.Error("no packet came twice")
	}
	if got = slices.Compact(got); len(got) != 200 || !slices.IsSorted(got) {
		t.Errorf("of 200 packets there came %v", got)
	}
}

// TestReset tells that a packet can end a connection at both ends, and that
// others are let through.
func TestReset(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h1, h2 := lab.Host("h1"), lab.Host("h2")
	h1.Shape(Line{})
	var l net.Listener
	var err error
	h2.Do(func() { l, err = net.Listen("tcp4", h2.Addr().String()+":7001") })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var from net.Conn
	h1.Do(func() { from, err = net.Dial("tcp4", l.Addr().String()) })
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	to.SetDeadline(time.Now().Add(patience))
	from.SetDeadline(time.Now().Add(patience))
	from.Write([]byte("x"))
	if _, err := to.Read(make([]byte, 1)); err != nil {
		t.Fatalf("a good line: %v", err)
	}
	h1.Shape(Line{Reset: 1000})
	from.Write([]byte("x"))
	if _, err := to.Read(make([]byte, 2)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection that was reset: %v", err)
	}
	h1.Shape(Line{})
	for err = nil; err == nil; time.Sleep(time.Millisecond) {
		_, err = from.Write([]byte("x"))
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the other side of it: %v", err)
	}
}

// TestShapedLineBreaks tells that the other faults work on a shaped line too.
func TestShapedLineBreaks(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h1, h2 := lab.Host("h1"), lab.Host("h2")
	h1.Shape(Line{Delay: time.Millisecond})
	c1, c2 := listen(t, h1), listen(t, h2)
	lab.Partition(h1, h2)
	if hears(t, c2, c1, "10.77.0.255", time.Second/2) || hears(t, c1, c2, "10.77.0.255", time.Second/2) {
		t.Error("packets cross the partition")
	}
	lab.Heal()
	h1.LinkDown()
	if hears(t, c2, c1, "10.77.0.255", time.Second/2) {
		t.Error("packets come without a link")
	}
	h1.LinkUp()
	if !hears(t, c2, c1, h2.Addr().String(), patience) {
		t.Error("nothing comes with the link up again")
	}
	h1.Vanish()
	if hears(t, c2, c1, "10.77.0.255", time.Second/2) {
		t.Error("a vanished host is heard")
	}
}

func TestBlock(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h1, h2 := lab.Host("h1"), lab.Host("h2")
	c1, c2 := listen(t, h1), listen(t, h2)
	lab.Block(h1, h2)
	if hears(t, c2, c1, "10.77.0.255", time.Second/2) {
		t.Error("the blocked host is heard")
	}
	if !hears(t, c1, c2, "10.77.0.255", patience) {
		t.Error("the blocked host does not hear")
	}
	lab.Heal()
	if !hears(t, c2, c1, "10.77.0.255", patience) {
		t.Error("the block did not end")
	}
}
