//go:build linux

package netlab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 10 * time.Second

// listen opens a UDP socket in a host that may broadcast.
func listen(t *testing.T, h *Host) *net.UDPConn {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1) })
		return err
	}}
	var conn net.PacketConn
	var err error
	h.Do(func() { conn, err = config.ListenPacket(context.Background(), "udp4", "0.0.0.0:7000") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UDPConn)
}

// hears reports whether what from sends to the address gets to the host,
// sending it again for some time.
func hears(t *testing.T, to, from *net.UDPConn, addr string, d time.Duration) bool {
	t.Helper()
	text := fmt.Sprint(time.Now().UnixNano())
	buf := make([]byte, 100)
	for end := time.Now().Add(d); time.Now().Before(end); {
		from.WriteTo([]byte(text), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr+":7000")))
		to.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		for {
			n, err := to.Read(buf)
			if err != nil {
				break
			}
			if string(buf[:n]) == text {
				return true
			}
		}
	}
	return false
}

func TestHostsTalk(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h1, h2, h3 := lab.Host("h1"), lab.Host("h2"), lab.Host("h3")
	c1, c2, c3 := listen(t, h1), listen(t, h2), listen(t, h3)
	if !hears(t, c2, c1, "10.77.0.255", patience) || !hears(t, c3, c1, "10.77.0.255", patience) {
		t.Error("a broadcast did not reach every host")
	}
	if !hears(t, c3, c2, h3.Addr().String(), patience) {
		t.Error("a packet did not reach its host")
	}
	h2.SetAddr(netip.MustParseAddr("10.77.0.200"))
	if !hears(t, c2, c1, "10.77.0.200", patience) {
		t.Error("a host is not reached at its new address")
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h1, h2, h3 := lab.Host("h1"), lab.Host("h2"), lab.Host("h3")
	p1, p2 := lab.Connect(h1, h2)
	q1, q3 := lab.Connect(h1, h3)
	c1, c2, c3 := listen(t, h1), listen(t, h2), listen(t, h3)
	if !hears(t, c2, c1, p2.Addr.String(), patience) || !hears(t, c1, c2, p1.Addr.String(), patience) {
		t.Errorf("no way from %v to %v", p1, p2)
	}
	if !hears(t, c3, c1, q3.Addr.String(), patience) || !hears(t, c1, c3, q1.Addr.String(), patience) {
		t.Errorf("no way from %v to %v", q1, q3)
	}
	if !hears(t, c2, c1, h2.Addr().String(), patience) {
		t.Error("the network is cut")
	}
}

func TestTCPAndLinkLocal(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h1, h2 := lab.Host("h1"), lab.Host("h2")
	var address string
	h1.Do(func() {
		ifi, err := net.InterfaceByName(h1.Interface())
		if err != nil {
			t.Fatal(err)
		}
		addrs, err := ifi.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			if ip := a.(*net.IPNet).IP; ip.IsLinkLocalUnicast() {
				address = ip.String()
			}
		}
	})
	if address == "" {
		t.Fatal("no link-local address")
	}
	for _, target := range []string{h1.Addr().String(), address} {
		var ln net.Listener
		var err error
		// A port of the kernel's choice: one that was just closed is in use for
		// as long as a child of this process, forked meanwhile, has it open.
		h1.Do(func() { ln, err = net.Listen("tcp", ":0") })
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		var conn net.Conn
		h2.Do(func() { conn, err = net.Dial("tcp", net.JoinHostPort(target+zone(target, h2), port)) })
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		ln.Close()
	}
}

// zone is what a link-local address needs to be dialled.
func zone(address string, h *Host) string {
	if netip.MustParseAddr(address).Is6() {
		return "%" + h.Interface()
	}
	return ""
}

func TestLinkDownUp(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h1, h2 := lab.Host("h1"), lab.Host("h2")
	c1, c2 := listen(t, h1), listen(t, h2)
	h2.LinkDown()
	if hears(t, c2, c1, h2.Addr().String(), time.Second) {
		t.Error("a host hears without its link")
	}
	h2.LinkUp()
	if !hears(t, c2, c1, h2.Addr().String(), patience) {
		t.Error("a host does not hear with its link up again")
	}
}

func TestPartition(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h1, h2, h3 := lab.Host("h1"), lab.Host("h2"), lab.Host("h3")
	c1, c2, c3 := listen(t, h1), listen(t, h2), listen(t, h3)
	lab.Partition(h1, h2)
	if hears(t, c2, c1, "10.77.0.255", time.Second/2) || hears(t, c1, c2, h1.Addr().String(), time.Second/2) {
		t.Error("packets cross the partition")
	}
	if !hears(t, c3, c1, h3.Addr().String(), patience) || !hears(t, c2, c3, "10.77.0.255", patience) {
		t.Error("the third host is cut off too")
	}
	lab.Heal()
	if !hears(t, c2, c1, h2.Addr().String(), patience) {
		t.Error("the partition did not heal")
	}
}

func TestLoss(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h1, h2 := lab.Host("h1"), lab.Host("h2")
	c1, c2 := listen(t, h1), listen(t, h2)
	if !hears(t, c2, c1, h2.Addr().String(), patience) { // both know the other's MAC address
		t.Fatal("no packet arrives")
	}
	const sent = 1000
	for _, tt := range []struct {
		percent, least, most int
		wait                 time.Duration // for a packet, which veth and bridge hand on at once or by softirq
	}{
		{0, sent, sent, patience}, {30, sent / 2, sent * 9 / 10, 2 * time.Millisecond}, {100, 0, 0, 2 * time.Millisecond},
	} {
		h1.Loss(tt.percent)
		got := 0
		packet := make([]byte, 10)
		for range sent {
			c1.WriteTo([]byte{byte(tt.percent)}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(h2.Addr(), 7000)))
			c2.SetReadDeadline(time.Now().Add(tt.wait))
			if _, err := c2.Read(packet); err == nil && packet[0] == byte(tt.percent) {
				got++
			}
		}
		if got < tt.least || got > tt.most {
			t.Errorf("loss of %d%%: %d of %d packets arrived", tt.percent, got, sent)
		}
	}
}

func TestVanish(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h1, h2, h3 := lab.Host("h1"), lab.Host("h2"), lab.Host("h3")
	c1, c2, c3 := listen(t, h1), listen(t, h2), listen(t, h3)
	h2.Vanish()
	if hears(t, c2, c1, "10.77.0.255", time.Second/2) {
		t.Error("a vanished host still hears")
	}
	if !hears(t, c3, c1, "10.77.0.255", patience) {
		t.Error("the others are cut off too")
	}
	lab.Heal() // does not stumble over the missing port
}

func TestCommand(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h := lab.Host("h1")
	out, err := h.Command("ip", "-o", "link").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n := strings.Count(string(out), "\n"); n != 2 || !strings.Contains(string(out), "eth0") {
		t.Errorf("the command sees not just the host's two interfaces:\n%s", out)
	}
}

// TestDoFails tells that a failure inside Do ends the test that called it,
// and leaves the host usable for its cleanups.
func TestDoFails(t *testing.T) {
	t.Parallel()
	lab := New(t)
	h := lab.Host("h1")
	went := false
	done := make(chan struct{})
	go func() { // as t.FailNow ends a test
		defer close(done)
		h.Do(runtime.Goexit)
		went = true
	}()
	<-done
	if went {
		t.Error("Do returned though its function failed the test")
	}
	h.Do(func() { went = true })
	if !went {
		t.Error("Do does not work after a failure")
	}
}

// TestMachineUntouched tells that a lab changes nothing in the namespace of
// the process, and that nothing is left of it.
func TestMachineUntouched(t *testing.T) {
	Need(t)
	before := machine(t)
	var ns string
	t.Run("lab", func(t *testing.T) {
		lab := New(t)
		h1, h2 := lab.Host("h1"), lab.Host("h2")
		ns = h1.space.path()
		lab.Partition(h1, h2)
		h1.Loss(10)
		h2.Vanish()
		if during := machine(t); during != before {
			t.Errorf("the lab shows outside:\n%s\nbefore:\n%s", during, before)
		}
	})
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		_, err := os.Stat(ns)
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the thread of a host is still there: %v", err)
		}
	}
	if after := machine(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// machine describes the network of the test process.
func machine(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, line := range []string{"ip -o link", "ip -o address", "ip route show table all", "ip netns", "tc qdisc"} {
		words := strings.Fields(line)
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
		fmt.Fprintf(&b, "%s\n%s", line, lifetimes.ReplaceAll(out, nil))
	}
	return b.String()
}

// lifetimes are those of addresses and routes, which grow less by the second.
var lifetimes = regexp.MustCompile(`(valid_lft|preferred_lft|expires) \w+`)
