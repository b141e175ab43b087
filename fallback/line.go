package fallback

import (
	"net"
	"runtime"
	"syscall"
	"time"
)

// line is a connection that a peer has opened. While the application reads it
// and is answered at once, time after time, it looks for the next answer for a
// moment before it goes to sleep: to be woken takes longer than the answer.
type line struct {
	net.Conn
	lent  bool // the application reads it
	watch *watch
}

const (
	watchTime = 100 * time.Microsecond // that it looks at most
	watchPays = 40 * time.Microsecond  // what being woken costs
	watchLong = 16                     // looks in a row that may take longer: the other side may begin to look too
	watchMin  = 4                      // short waits in a row before it looks
	watchMax  = 1 << 12                // the same after it has looked in vain often
)

// watch is what a line needs to look.
type watch struct {
	raw  syscall.RawConn // nil: it cannot, or should not
	try  func(fd uintptr) bool
	buf  []byte
	n    int
	from time.Time

	short int // waits in a row that were
	need  int // so many before it looks
	long  int // looks in a row that did not pay
}

// Read is used by one goroutine at a time.
func (l *line) Read(p []byte) (int, error) {
	if !l.lent {
		return l.Conn.Read(p)
	}
	if l.watch == nil {
		l.watch = newWatch(l.Conn)
	}
	if l.watch.raw == nil {
		return l.Conn.Read(p)
	}
	return l.watch.read(l.Conn, p)
}

func newWatch(c net.Conn) *watch {
	w := &watch{need: watchMin}
	sc, ok := c.(syscall.Conn)
	if !ok || !canTryRead || runtime.GOMAXPROCS(0) == 1 {
		return w
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return w
	}
	w.raw = raw
	w.try = func(fd uintptr) bool {
		for {
			var again bool
			if w.n, again = readNow(fd, w.buf); !again || time.Since(w.from) > watchTime {
				return true
			}
		}
	}
	return w
}

func (w *watch) read(c net.Conn, p []byte) (int, error) {
	w.from = time.Now()
	if w.short >= w.need {
		if n := w.look(p); n > 0 {
			w.judge(time.Since(w.from))
			return n, nil
		}
		w.rarer()
	}
	n, err := c.Read(p)
	if time.Since(w.from) < watchTime {
		w.short++
	} else {
		w.short = 0
	}
	return n, err
}

// judge looks at how long it took to find something. Who gets a message now
// and then must not keep a processor busy with looking for the next.
func (w *watch) judge(took time.Duration) {
	if took < watchPays {
		w.need, w.long = watchMin, 0
		return
	}
	if w.long++; w.long >= watchLong {
		w.rarer()
	}
}

func (w *watch) rarer() {
	w.short, w.need, w.long = 0, min(2*w.need, watchMax), 0
}

// look returns what comes in a moment, or 0. An error shows in the next read.
func (w *watch) look(p []byte) int {
	w.buf, w.n = p, 0
	err := w.raw.Read(w.try)
	w.buf = nil
	if err != nil {
		return 0
	}
	return w.n
}
