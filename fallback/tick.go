package fallback

import (
	"time"
)

// tick looks after the peers by a timer of its own, whatever the load: it
// pings the quiet ones, reports them, and gives up those that are dead.
func (pr *presence) tick() {
	every := min(time.Second, pr.cfg.Evasive/2, pr.cfg.Expired/2)
	t := time.NewTicker(max(every, time.Millisecond))
	defer t.Stop()
	for last := time.Now(); ; {
		select {
		case <-t.C:
			now := time.Now()
			if late := now.Sub(last) - every; late > every {
				pr.excuse(late)
			}
			last = now
			pr.look(now, every)
		case <-pr.ctx.Done():
			return
		}
	}
}

// excuse takes from the silence of all peers the time in which this node did
// not run itself: the machine was busy, or asleep, and what they have said may
// be on its way yet.
func (pr *presence) excuse(late time.Duration) {
	pr.log.Warn("this process did not run for a while", "for", late)
	pr.mu.Lock()
	defer pr.mu.Unlock()
	for _, p := range pr.peers {
		if seen := p.seen.Load(); p.seen.CompareAndSwap(seen, min(seen+int64(late), int64(time.Since(epoch)))) {
			p.out.excuse(late)
		}
	}
}

func (pr *presence) look(now time.Time, every time.Duration) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.closing {
		return
	}
	pr.checkElections(now)
	for _, p := range pr.peers {
		if why := pr.dead(p, now); why != "" {
			pr.remove(p, why)
		} else {
			pr.care(p, now, every)
		}
	}
}

// dead tells why a peer must be given up, or returns "".
func (pr *presence) dead(p *peer, now time.Time) string {
	if since := p.out.stuckSince(); !since.IsZero() && now.Sub(since) > pr.cfg.SendTimeout {
		return "it takes nothing"
	}
	switch {
	case p.heldBack():
		return "" // it is we who do not listen
	case p.silence(now) >= pr.cfg.Expired:
		return "it has expired"
	case !p.greeted && now.Sub(p.born) >= pr.cfg.Expired:
		return "it cannot be reached"
	}
	return ""
}

// silence returns how long ago the peer gave a sign of life, or took a part of
// what is written to it: a PING behind a large message may wait for long.
func (p *peer) silence(now time.Time) time.Duration {
	quiet := p.quiet(now)
	if since := p.out.stuckSince(); !since.IsZero() {
		quiet = min(quiet, now.Sub(since))
	}
	return quiet
}

// care pings a peer that is quiet and reports one that stays so.
func (pr *presence) care(p *peer, now time.Time, every time.Duration) {
	quiet, blocked := p.silence(now), p.heldBack()
	if blocked && p.dialled {
		// Its own PINGs wait behind what this node is slow to take: unasked,
		// it is told that this node lives.
		p.out.ping()
	}
	if !p.entered || quiet < pr.cfg.Evasive-every*3/2 || blocked {
		return
	}
	// Two looks before it counts as evasive, so that the answer comes in time.
	if p.dialled {
		p.out.ping()
	}
	if quiet >= pr.cfg.Evasive {
		pr.node.inbox.hint(&p.src, p.event(Evasive))
	}
	silent := pr.cfg.Silent
	if silent == 0 {
		silent = pr.cfg.Evasive + every
	}
	if quiet >= silent {
		pr.node.inbox.hint(&p.src, p.event(Silent))
	}
}
