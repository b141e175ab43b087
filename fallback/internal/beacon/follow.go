package beacon

import (
	"errors"
	"slices"
	"time"

	"github.com/gozyre/zyre/internal/netif"
)

// repairEvery is how often the interfaces are looked at, at most, while a link
// fails. Beacons need not come any faster than this.
const repairEvery = 200 * time.Millisecond

// follow looks at the interfaces again and repairs what has failed.
func (a *Announcer) follow() {
	if a.follower.Elsewhere() {
		return // the sockets that there are still send from the right place
	}
	links, changed := a.follower.Look(a.links())
	a.adopt(links)
	if changed && a.cfg.Relinked != nil {
		a.cfg.Relinked(slices.Clone(links))
	}
}

// links returns the links in use.
func (a *Announcer) links() []netif.Link {
	a.mu.Lock()
	defer a.mu.Unlock()
	links := make([]netif.Link, len(a.senders))
	for i, s := range a.senders {
		links[i] = s.link
	}
	return links
}

// adopt makes these the links: it keeps the senders that work, opens the
// others, and announces at once on those that are new.
func (a *Announcer) adopt(links []netif.Link) {
	// Join first, so that answers to the first beacon are heard.
	a.join(links)
	loopbackOnly := len(links) > 0 && !slices.ContainsFunc(links, func(l netif.Link) bool { return !l.Loopback })
	for _, e := range a.ears {
		e.subscription.loopbackOnly.Store(loopbackOnly)
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.senders
	a.senders = nil
	for _, l := range links {
		a.senders = append(a.senders, a.adoptLink(before, l))
	}
	for _, s := range before {
		if !slices.Contains(a.senders, s) {
			s.close()
		}
	}
}

// adoptLink returns the sender for a link. One that fails gets a new socket:
// what broke it may be bound to the old one.
func (a *Announcer) adoptLink(before []*sender, l netif.Link) *sender {
	known := slices.IndexFunc(before, func(s *sender) bool { return s.link == l })
	if known < 0 {
		s := &sender{link: l, group: a.groups[l.Addr.Is6()], port: a.cfg.Port}
		a.note(s, s.open())
		a.beacon(s)
		return s
	}
	s := before[known]
	if s.failure != "" {
		s.close()
		_ = s.open() // if it fails, the next beacon says so
	}
	return s
}

// join joins the groups on the links, and logs what went wrong unless it is
// what was logged of it before.
func (a *Announcer) join(links []netif.Link) {
	var errs []error
	for _, e := range a.ears {
		errs = append(errs, e.subscription.receiver.join(links))
	}
	err := errors.Join(errs...)
	failure := reason(err)
	if failure != "" && failure != a.joining {
		a.cfg.Logger.Warn("cannot receive multicast", "error", err)
	}
	a.joining = failure
}
