//go:build cgo && !purego

package zyre

/*
#cgo noescape zg_drain
#cgo nocallback zg_drain
#include "zyre_cgo.h"
*/
import "C"

import (
	"context"
	"runtime"
	"time"
)

// flowing is the time within which another event makes a flow of them, or an
// answer to one was quick. Then it pays to let the threads of libzyre go on for
// a moment before the socket is found empty: finding it so costs them a wake,
// and us.
const flowing = 50 * time.Microsecond

// Shortly after an event the one who waits for the next stays in a call of C
// for a moment. Go's netpoller would wake him with the help of other threads,
// which takes libzyre's the processor: a third of a round trip.
const lively = time.Millisecond

// Who only goes in and out of calls for 10 ms looks to Go's scheduler like one
// who does not let others run. It then takes the processor from him at each
// call, and gives it back. Letting others run now and then is cheaper.
const turn = 5 * time.Millisecond

// collect moves what libzyre's socket has into the inbox, without waiting,
// and reports whether there was anything. Anybody may call it.
func (p *presence) collect() bool {
	p.draining.Lock()
	defer p.draining.Unlock()
	return p.drain(nil)
}

// linger is for the one who waits. If there was an event just now, he stays
// for the next, but takes no more than that one unless they flow. It reports
// whether there was one, which is his, or else whether the inbox has something.
func (p *presence) linger(ev *Event) (got, some bool) {
	p.lingers.Store(true)
	defer p.lingers.Store(false)
	p.draining.Lock()
	defer p.draining.Unlock()
	if p.in.some() {
		return false, true // another has collected it; nobody can while we stay
	}
	now := time.Now()
	if now.Sub(p.arrival) >= lively {
		return false, false
	}
	if now.Sub(p.yielded) > turn {
		p.yielded = now
		runtime.Gosched()
	}
	some = p.drain(ev)
	return ev.Type != 0, some
}

// drain takes what there is, once for each batch, and reports whether there was
// anything. Who stays for it, if need be, gets the first event; the inbox gets
// the others. Holding draining.
func (p *presence) drain(first *Event) bool {
	if p.c == nil {
		return false // it has ended since the caller found it running
	}
	some := false
	flows := time.Since(p.arrival) < flowing
	for more := true; more && !p.stopped; more = p.c.more != 0 {
		if C.zg_drain(p.c, cBool(flows), cBool(first != nil && !some)) == 0 {
			continue
		}
		some = true
		p.events = p.decode(p.events[:0])
		events := p.events
		if first != nil && first.Type == 0 && len(events) > 0 {
			*first, events = events[0], events[1:]
		}
		p.in.push(events)
		clear(p.events) // others have them; keep nothing alive here
	}
	p.collected = time.Now()
	if some {
		p.arrival = p.collected
	}
	if p.c.larges > 0 {
		C.zg_release(p.c) // they may be many megabytes
	}
	return some
}

// update collects on behalf of a query, and wakes the one who waits at the
// socket: he will not hear of what was collected. Who lingers there collects
// at once what comes.
func (p *presence) update() {
	if !p.lingers.Load() && p.collect() {
		p.interrupt()
	}
}

// updateEvery is update for those who ask often: it spares them most of it.
func (p *presence) updateEvery(d time.Duration) {
	if p.lingers.Load() {
		return
	}
	p.draining.Lock()
	due := time.Since(p.collected) > d
	p.draining.Unlock()
	if due {
		p.update()
	}
}

// await returns the next event if it gets hold of it. Else it returns when
// there may be one in the inbox, when the context is done, when the presence has
// ended, or for no reason. It waits in Go's netpoller and holds no thread, but
// for the moment of linger. There must be one caller at a time, who has the
// inbox's seat.
func (p *presence) await(ctx context.Context, ev *Event) bool {
	if got, some := p.linger(ev); got || some {
		return got
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, p.interrupt)
		defer stop()
	}
	p.watch.until(p.arrived)
	return false
}

func (p *presence) arrived() bool { return p.collect() || p.in.some() }

// interrupt ends an await. Coming late it ends the next one, which does no
// harm.
func (p *presence) interrupt() { p.watch.interrupt() }
