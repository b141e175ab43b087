package fallback

import (
	"net/netip"
	"time"

	"github.com/gozyre/zyre/internal/rule"
)

// What a stranger can make a node spend. A connection that breaks a limit is
// closed; it is counted in Stats.Refused and logged.
const (
	maxPeers       = 2048 // that have entered
	maxCandidates  = 1024 // that have not
	maxHalfOpen    = 512  // connections that have not said HELLO; the oldest goes first
	maxDials       = 64   // at a time
	maxHello       = 1 << 20
	maxStrangers   = 2 << 20                 // bytes of HELLOs that are not whole, of all together
	strangerShare  = 8 << 10                 // that each has in any case
	strangerAhead  = 16 << 10                // allocated before they come
	maxGroups      = 4096                    // of one peer
	maxMemberships = 1 << 19                 // of all peers together, and each has
	groupShare     = 64                      // in any case
	maxForeign     = 16                      // messages of another protocol version on one connection
	minPort        = rule.MinPeerPort        // a stranger's word never makes a node connect below
	helloTimeout   = 10 * time.Second        // from connect to HELLO
	verifyTimeout  = 1500 * time.Millisecond // for a peer to show that it lives: unasked it does so each second
	busyTimeout    = 3 * time.Second         // more, if it is slow to take what comes before the question
	breakTimeout   = 50 * time.Millisecond   // between the ends of both connections of a process that ended
	helloInterval  = time.Second             // between two HELLOs of one peer
	lingerTimeout  = time.Second             // for what was sent, at Stop

	// New peers that an address may announce: so many at once, then so many
	// a second. A beacon is easily forged, and each makes the node connect.
	sourceBurst, sourceRate = 384, 64
	maxSources              = 1024

	// Dials to where no connection was made before, of all sources together:
	// so many at once, then so many a second. Those to peers that have said
	// HELLO are counted apart: they have come from an address that is theirs.
	dialBurst, dialRate = 512, 128
)

// dialPace spreads dials over time.
type dialPace struct {
	next time.Time // when the burst is used up, the moment of the next one
}

// reserve returns how long the next dial must wait.
func (d *dialPace) reserve(now time.Time) time.Duration {
	const interval = time.Second / dialRate
	if full := now.Add(-dialBurst * interval); d.next.Before(full) {
		d.next = full
	}
	d.next = d.next.Add(interval)
	return max(0, d.next.Sub(now))
}

// allowance limits how often each source may do something.
type allowance struct {
	sources map[netip.Addr]*tokens
}

type tokens struct {
	left float64
	at   time.Time
}

// take reports whether the source may do it once more now.
func (a *allowance) take(source netip.Addr, now time.Time) bool {
	t := a.sources[source]
	if t == nil {
		if len(a.sources) >= maxSources {
			a.forget(now)
		}
		if len(a.sources) >= maxSources {
			return false
		}
		t = &tokens{sourceBurst, now}
		if a.sources == nil {
			a.sources = map[netip.Addr]*tokens{}
		}
		a.sources[source] = t
	}
	t.left = min(sourceBurst, t.left+now.Sub(t.at).Seconds()*sourceRate)
	t.at = now
	if t.left < 1 {
		return false
	}
	t.left--
	return true
}

// forget drops the sources that have their full allowance again.
func (a *allowance) forget(now time.Time) {
	for source, t := range a.sources {
		if t.left+now.Sub(t.at).Seconds()*sourceRate >= sourceBurst {
			delete(a.sources, source)
		}
	}
}
