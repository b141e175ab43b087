package beacon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/netif"
)

// endpoint is what a receiving socket is for. Nodes of one process whose
// endpoints are equal share one socket: with twenty nodes in five processes
// the kernel copies a datagram five times, not a hundred.
type endpoint struct {
	space netif.Namespace
	ipv6  bool
	port  int
	group netip.Addr // invalid: broadcast
}

// receivers are the open receiving sockets of this process.
var receivers = struct {
	sync.Mutex
	open map[endpoint]*receiver
}{open: map[endpoint]*receiver{}}

// receiver is a receiving socket and those who listen to it. It is bound to
// no address, as libzyre's; a multicast group is joined in addition to that.
type receiver struct {
	endpoint endpoint
	conn     *net.UDPConn
	refused  atomic.Uint64
	done     chan struct{} // closed when the reader has ended

	// The reader takes the list as it is; whoever changes it holds the lock
	// of receivers and puts a new one in its place.
	subscriptions atomic.Pointer[[]*subscription]
}

// subscription is the part of one announcer in a receiver.
type subscription struct {
	receiver     *receiver
	self         [16]byte
	loopbackOnly atomic.Bool // beacons from elsewhere are ignored

	mu   sync.Mutex     // held while seen runs, so that cancel waits for it
	seen func(Sighting) // nil: cancelled
}

// subscribe opens the endpoint unless it is open, and has seen told of what
// arrives there and is not from self.
func subscribe(e endpoint, self [16]byte, seen func(Sighting)) (*subscription, error) {
	receivers.Lock()
	defer receivers.Unlock()
	r := receivers.open[e]
	if r == nil {
		var err error
		if r, err = listen(e); err != nil {
			return nil, err
		}
		receivers.open[e] = r
	}
	s := &subscription{receiver: r, self: self, seen: seen}
	r.setSubscriptions(append(slices.Clone(r.current()), s))
	return s, nil
}

// cancel ends the subscription; seen is not called after it returned. The
// last one closes the socket.
func (s *subscription) cancel() {
	s.mu.Lock()
	s.seen = nil
	s.mu.Unlock()

	if s.receiver.remove(s) {
		<-s.receiver.done
	}
}

// remove takes a subscription off the list and reports whether it was the
// last, with which the receiver is closed.
func (r *receiver) remove(s *subscription) (last bool) {
	receivers.Lock()
	defer receivers.Unlock()
	left := slices.DeleteFunc(slices.Clone(r.current()), func(other *subscription) bool { return other == s })
	r.setSubscriptions(left)
	if len(left) > 0 {
		return false
	}
	delete(receivers.open, r.endpoint)
	r.conn.Close()
	return true
}

func (r *receiver) current() []*subscription           { return *r.subscriptions.Load() }
func (r *receiver) setSubscriptions(s []*subscription) { r.subscriptions.Store(&s) }

// listen opens the socket and starts its reader.
func listen(e endpoint) (*receiver, error) {
	wildcard := netip.IPv4Unspecified()
	if e.ipv6 {
		wildcard = netip.IPv6Unspecified()
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return control(c, shareAddress) }}
	conn, err := config.ListenPacket(context.Background(), network(e.ipv6), netip.AddrPortFrom(wildcard, uint16(e.port)).String())
	if err != nil {
		return nil, err
	}
	r := &receiver{endpoint: e, conn: conn.(*net.UDPConn), done: make(chan struct{})}
	r.setSubscriptions(nil)
	// Room for the beacons of a large network that was started together. The
	// system may give less, and what is lost comes again.
	r.conn.SetReadBuffer(256 << 10)
	go r.read()
	return r, nil
}

// join joins the group on the links. It may be repeated: a membership ends
// with its interface and must be renewed when that comes back. None is ever
// left; the socket hears all interfaces in any case.
func (r *receiver) join(links []netif.Link) error {
	if !r.endpoint.group.IsValid() {
		return nil
	}
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range links {
		if l.Addr.Is6() != r.endpoint.ipv6 {
			continue
		}
		err := control(raw, func(fd handle) error { return joinGroup(fd, r.endpoint.group, l) })
		if err != nil && !isMember(err) {
			errs = append(errs, fmt.Errorf("join %v on %v: %w", r.endpoint.group, l, err))
		}
	}
	return errors.Join(errs...)
}

// read takes datagrams until the socket is closed. No other error ends it;
// they are waited out, for they may come in any number.
func (r *receiver) read() {
	defer close(r.done)
	buf := make([]byte, 64<<10) // no datagram is larger, so none is cut
	const shortest, longest = time.Millisecond, 100 * time.Millisecond
	pause := shortest
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buf)
		switch {
		case err == nil:
			r.deliver(buf[:n], from)
			pause = shortest
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(pause)
			pause = min(2*pause, longest)
		}
	}
}

func (r *receiver) deliver(datagram []byte, from netip.AddrPort) {
	b, ok := zre.ParseBeacon(datagram)
	if !ok {
		r.refused.Add(1)
		return
	}
	sighting := Sighting{Beacon: b, From: from}
	for _, s := range r.current() {
		s.deliver(&sighting)
	}
}

func (s *subscription) deliver(sighting *Sighting) {
	if sighting.Beacon.UUID == s.self {
		return
	}
	if s.loopbackOnly.Load() && !sighting.From.Addr().IsLoopback() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen != nil {
		s.seen(*sighting)
	}
}
