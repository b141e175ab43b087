package transport

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func pipe(t *testing.T) (a, b net.Conn) {
	a, b = newPipe(inprocAddr("x"))
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestPipeCarriesAll(t *testing.T) {
	a, b := pipe(t)
	sent := make([]byte, 10*pipeSize+7)
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	go func() {
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), 1+rand.IntN(2*pipeSize))
			a.Write(rest[:n])
			rest = rest[n:]
		}
		a.Close()
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("writing to one who has gone: %v", err)
	}
	if _, err := a.Read(got); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading where it is closed: %v", err)
	}
	if _, err := a.Write(got); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing where it is closed: %v", err)
	}
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t)
		buf := make([]byte, 2*pipeSize)
		start := time.Now()
		a.SetDeadline(start.Add(time.Second))
		if _, err := a.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("read: %v after %v", err, time.Since(start))
		}
		if n, err := a.Write(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write after the deadline: %d, %v", n, err)
		}
		a.SetWriteDeadline(start.Add(3 * time.Second))
		if n, err := a.Write(buf); n != pipeSize || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("write: %d, %v after %v", n, err, time.Since(start))
		}
		a.SetDeadline(start.Add(-time.Second))
		if _, err := a.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a deadline of the past: %v", err)
		}
		a.SetDeadline(time.Time{})
		b.Write([]byte("late"))
		if n, err := a.Read(buf); n != 4 || err != nil {
			t.Errorf("without a deadline: %d, %v", n, err)
		}
	})
}

func TestPipeDeadlineMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := pipe(t)
		start := time.Now()
		a.SetReadDeadline(start.Add(time.Second))
		go func() {
			time.Sleep(time.Second / 2)
			a.SetReadDeadline(start.Add(2 * time.Second))
		}()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestPipeCloseWakes(t *testing.T) {
	for name, closed := range map[string]func(a, b net.Conn) net.Conn{
		"own end":   func(a, b net.Conn) net.Conn { return a },
		"other end": func(a, b net.Conn) net.Conn { return b },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := pipe(t)
				ended := make(chan error, 2)
				go func() {
					_, err := a.Read(make([]byte, 1))
					ended <- err
				}()
				go func() {
					_, err := a.Write(make([]byte, 2*pipeSize))
					ended <- err
				}()
				synctest.Wait()
				closed(a, b).Close()
				for range 2 {
					if err := <-ended; err == nil {
						t.Error("no error")
					}
				}
			})
		})
	}
}
