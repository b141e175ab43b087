package fallback

import (
	"syscall"
	"time"
)

// TCP doubles the time to the next retransmission with each that is lost, up
// to two minutes. Where many packets are lost, as on bad wireless networks,
// that makes a live peer look dead long before its connection is: with three
// in ten lost each way, every second packet is sent in vain. A packet a second
// to each peer harms no network, and is no more than a beacon costs.
//
// The kernel counts retransmissions and gives a connection up after so many,
// which would now be too soon. Whether a peer lives is for the node to say;
// only when it has closed a connection the kernel decides how long to go on.
const (
	maxRetransmit = time.Second // the shortest that the kernel accepts
	openTimeout   = 24 * time.Hour
	closedTimeout = 30 * time.Second
)

// The options have no names in package syscall. That for the longest time to
// the next retransmission came with Linux 6.15.
const (
	tcpUserTimeout = 18 // TCP_USER_TIMEOUT
	tcpRTOMax      = 44 // TCP_RTO_MAX_MS
)

// retransmitOften keeps retransmissions from becoming rare, where the kernel
// can do that.
func (l *link) retransmitOften() {
	l.often = l.option(tcpRTOMax, maxRetransmit) && l.option(tcpUserTimeout, openTimeout)
}

// Close closes the connection. What was written still goes out.
func (l *link) Close() error {
	if l.often {
		l.option(tcpUserTimeout, closedTimeout)
	}
	return l.Conn.Close()
}

// option sets an option of TCP that is a time in milliseconds.
func (l *link) option(name int, d time.Duration) (ok bool) {
	if l.raw == nil {
		return false
	}
	err := l.raw.Control(func(fd uintptr) {
		ok = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, name, int(d.Milliseconds())) == nil
	})
	return ok && err == nil
}
