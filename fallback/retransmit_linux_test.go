package fallback

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

// However many packets are lost, the next one goes out within a second, for as
// long as the node keeps the connection.
func TestRetransmitOften(t *testing.T) {
	a, b := meet(t)
	pr := a.pr.Load()
	pr.mu.Lock()
	p := pr.peers[b.UUID()]
	pr.mu.Unlock()
	p.out.mu.Lock()
	l := p.out.conn
	p.out.mu.Unlock()

	longest, err := l.optionIs(tcpRTOMax)
	if errors.Is(err, syscall.ENOPROTOOPT) {
		t.Skip("the kernel has no TCP_RTO_MAX_MS, which came with Linux 6.15")
	}
	if longest != maxRetransmit || err != nil {
		t.Errorf("the longest time to the next retransmission is %v, %v", longest, err)
	}
	// A kernel left to itself would give up after 15 of them.
	if d, err := l.optionIs(tcpUserTimeout); d != openTimeout || err != nil {
		t.Errorf("the kernel gives the connection up after %v, %v", d, err)
	}
}

// optionIs reads an option of TCP that is a time in milliseconds.
func (l *link) optionIs(name int) (d time.Duration, err error) {
	var ms int
	control := l.raw.Control(func(fd uintptr) {
		ms, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, name)
	})
	return time.Duration(ms) * time.Millisecond, errors.Join(err, control)
}
