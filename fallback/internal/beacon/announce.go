package beacon

import (
	"errors"
	"os"
	"time"

	"github.com/gozyre/zyre/internal/netif"
)

// early are the delays after the first beacons. UDP loses datagrams, and of
// nodes that start together some are not listening yet: two repetitions find
// them long before the next interval.
var early = [...]time.Duration{100 * time.Millisecond, 200 * time.Millisecond}

// delay returns how long to wait after beacon n, counted from 0.
func delay(n int, interval time.Duration) time.Duration {
	if n < len(early) {
		return min(early[n], interval)
	}
	return interval
}

// run announces until it is stopped. The timer is set anew after each beacon:
// after a suspend there is one, not all that were missed.
func (a *Announcer) run() {
	defer close(a.done)
	timer := time.NewTimer(delay(0, a.cfg.Interval))
	defer timer.Stop()
	look := time.NewTicker(netif.FollowEvery) // whatever the interval of beacons
	defer look.Stop()
	looked := time.Now()
	for n := 1; ; {
		pace := netif.FollowEvery
		select {
		case <-a.stop:
			return
		case <-look.C:
		case <-timer.C:
			pace = a.announce()
			timer.Reset(delay(n, a.cfg.Interval))
			n++
		}
		if time.Since(looked) >= pace {
			a.follow()
			looked = time.Now()
		}
	}
}

// announce sends a beacon on each link and returns how old the last look at
// the interfaces may be.
func (a *Announcer) announce() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	pace := netif.FollowEvery
	for _, s := range a.senders {
		a.beacon(s)
		if s.failure != "" {
			pace = repairEvery
		}
	}
	return pace
}

// beacon sends one beacon. The caller has locked mu.
func (a *Announcer) beacon(s *sender) {
	if a.silent || a.cfg.Payload == nil {
		return
	}
	if datagram := a.cfg.Payload(s.link); datagram != nil {
		a.note(s, s.send(datagram))
	}
}

// note remembers how sending went and logs only what is new.
func (a *Announcer) note(s *sender, err error) {
	failure := reason(err)
	if failure == s.failure {
		return
	}
	s.failure = failure
	if err != nil {
		a.cfg.Logger.Warn("cannot send beacons, trying again", "link", s.link.String(), "error", err)
	} else {
		a.cfg.Logger.Info("beacons are sent again", "link", s.link.String())
	}
}

// reason names the kind of an error, "" for none. Which system call it came
// from, and with which addresses, makes no difference.
func reason(err error) string {
	var call *os.SyscallError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &call):
		return call.Err.Error()
	default:
		return err.Error()
	}
}
