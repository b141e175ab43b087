package beacon

import (
	"fmt"
	"slices"
	"time"

	"github.com/gozyre/zyre/internal/netif"
)

// How often the interfaces are looked at, at most: while all is well, and
// while a link fails. Beacons need not come any faster than this.
const (
	followEvery = 3 * time.Second
	repairEvery = 200 * time.Millisecond
)

// follow looks at the interfaces again and repairs what has failed.
//
// It runs on whatever thread, which may be in another network namespace than
// the one that Start was called in, if that call came from a thread with a
// namespace of its own. Interfaces of the same name there are none of ours:
// then the node keeps the sockets it has, which still send from the right one.
func (a *Announcer) follow() {
	if currentNamespace() != a.space {
		return
	}
	before := a.links()
	links, err := a.cfg.Selection.Rechoose(before)
	a.noteFollowing("cannot announce on another interface", err)
	if err != nil {
		links = before
	}
	a.adopt(links)
	if slices.Equal(before, links) {
		return
	}
	a.cfg.Logger.Info("network interfaces have changed", "before", fmt.Sprint(before), "now", fmt.Sprint(links))
	if a.cfg.Relinked != nil {
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
	a.noteFollowing("cannot receive multicast", a.subscription.receiver.join(links))
	a.subscription.setLoopbackOnly(len(links) > 0 && !slices.ContainsFunc(links, func(l netif.Link) bool { return !l.Loopback }))

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
		s := &sender{link: l, group: a.group, port: a.cfg.Port}
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

// noteFollowing logs what went wrong in following the links, unless it is what
// was logged of it before.
func (a *Announcer) noteFollowing(what string, err error) {
	failure := reason(err)
	if failure != "" && failure != a.following[what] {
		a.cfg.Logger.Warn(what, "error", err)
	}
	a.following[what] = failure
}
