package fallback

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// lentLine returns a connection on loopback that is lent, and its other end.
func lentLine(t *testing.T) (l *line, far net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if far, err = net.Dial("tcp4", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	near, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	l = &line{Conn: near, lent: true, watch: newWatch(near)}
	if l.watch.raw == nil {
		t.Skip("nothing can be looked for here: one processor, or no way to read without waiting")
	}
	return l, far
}

func (l *line) mustRead(t *testing.T, want string) {
	t.Helper()
	buf := make([]byte, 8)
	if n, err := l.Read(buf); err != nil || string(buf[:n]) != want {
		t.Fatalf("read %q, %v; want %q", buf[:n], err, want)
	}
}

func TestLineLooksWhereAnswersAreSoon(t *testing.T) {
	l, far := lentLine(t)
	w := l.watch
	// It waits as usual before it has seen that they are.
	far.Write([]byte("a"))
	l.mustRead(t, "a")
	// What is there when it looks is found, without a wait.
	w.short, w.need = watchMin, watchMin
	far.Write([]byte("b"))
	time.Sleep(time.Millisecond) // loopback delivers at once; this only makes sure
	l.mustRead(t, "b")
	if w.short != watchMin {
		t.Errorf("%d short waits after a look that found something", w.short)
	}
	// Who has looked in vain needs more to look again, up to a limit.
	for need := watchMin; need <= watchMax; need *= 2 {
		if w.need != need {
			t.Fatalf("it looks after %d short waits, want %d", w.need, need)
		}
		w.short = w.need
		l.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := l.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("nothing was sent: %v", err)
		}
		if w.short != 0 {
			t.Errorf("%d short waits after a long one", w.short)
		}
	}
	if w.need != watchMax {
		t.Errorf("it looks after %d short waits, want %d at most", w.need, watchMax)
	}
	// A find makes up for all that was in vain.
	w.judge(0)
	if w.need != watchMin {
		t.Errorf("it looks after %d short waits, want %d", w.need, watchMin)
	}
}

// A steady stream that is too slow to be worth looking for is soon left to the
// kernel.
func TestLineDoesNotLookForLong(t *testing.T) {
	w := &watch{need: watchMin, short: watchMin}
	for range watchLong - 1 {
		w.judge(watchPays)
	}
	if w.short != watchMin || w.need != watchMin {
		t.Fatalf("given up too soon: %+v", w)
	}
	w.judge(0) // one that pays makes up for those before
	for range watchLong {
		w.judge(watchPays)
	}
	if w.short != 0 || w.need != 2*watchMin {
		t.Errorf("it goes on to look: %+v", w)
	}
}

func TestLineTellsOfDeadlinesAndOfTheEnd(t *testing.T) {
	l, far := lentLine(t)
	l.watch.short = watchMin
	l.SetReadDeadline(time.Unix(1, 0))
	far.Write([]byte("a"))
	if _, err := l.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	l.SetReadDeadline(time.Time{})
	l.watch.short = watchMin
	l.mustRead(t, "a")
	far.Close()
	l.watch.short = watchMin
	if _, err := l.Read(make([]byte, 8)); err != io.EOF {
		t.Errorf("at its end: %v", err)
	}
}

// What is no connection of the kernel is read as usual.
func TestLineWithoutDescriptor(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	l := &line{Conn: near, lent: true}
	go func() {
		far.Write([]byte("a"))
		far.Close()
	}()
	l.mustRead(t, "a")
	if _, err := l.Read(make([]byte, 8)); err != io.EOF {
		t.Errorf("at its end: %v", err)
	}
}
