//go:build cgo && !purego

package zyre

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func init() {
	programs["interrupt"] = programInterrupt
	programs["interrupt-default"] = programInterruptDefault
	programs["ignore"] = programIgnore
	programs["leave"] = programLeave
}

// storm sends signals to each thread of the process in turn until stop is
// called, at least as many as wanted, and slowly enough for the program to do
// something in between.
func storm(t testing.TB, wanted int) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		// Its own thread, for it is hit too.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		signals := []syscall.Signal{syscall.SIGURG, syscall.SIGCHLD, syscall.SIGUSR1}
		for sent := 0; ; {
			tasks, err := os.ReadDir("/proc/self/task")
			if err != nil {
				t.Error(err)
				return
			}
			for _, task := range tasks {
				tid, _ := strconv.Atoi(task.Name())
				_ = syscall.Tgkill(os.Getpid(), tid, signals[sent%len(signals)])
				sent++
				if sent%4 == 0 {
					time.Sleep(50 * time.Microsecond)
				}
			}
			select {
			case <-done:
				if sent >= wanted {
					return
				}
			default:
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// Whatever the signals hit, a send, a receive, a question to the actor or the
// actor itself: nothing is lost, nothing hangs, no answer is wrong.
func TestSignalStorm(t *testing.T) {
	usr1 := make(chan os.Signal, 1)
	signal.Notify(usr1, syscall.SIGUSR1)
	defer signal.Stop(usr1)

	a, b := startPair(t, WithEvasiveTimeout(patience), WithExpiredTimeout(2*patience))
	pa, _ := b.Peer(a.UUID())
	const messages = 30_000
	stop := storm(t, 10_000)
	defer stop()

	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range messages {
			if err := a.Whisper(b.UUID(), strconv.AppendInt(nil, int64(i), 10), []byte("frame")); err != nil {
				t.Errorf("Whisper %d: %v", i, err)
				return
			}
		}
	})
	wg.Go(func() {
		for i := range 3000 {
			if p, ok := b.Peer(a.UUID()); !ok || p.Endpoint != pa.Endpoint {
				t.Errorf("answer %d: %+v, %v", i, p, ok)
				return
			}
		}
	})
	for i := range messages {
		if ev := next(t, b, Whisper, Exit); ev.Text() != strconv.Itoa(i) || len(ev.Msg) != 2 {
			t.Fatalf("instead of message %d: %v %q", i, ev, ev.Msg)
		}
	}
	within(t, "calls in a storm", wg.Wait)
}

// bombard sends signals to one thread as fast as it can, while f runs on it.
func bombard(t testing.TB, f func()) {
	t.Helper()
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tid := syscall.Gettid()
	wg.Go(func() {
		for !stop.Load() {
			_ = syscall.Tgkill(os.Getpid(), tid, syscall.SIGURG)
		}
	})
	f()
}

// A signal in the middle of a send would leave half a command in the actor's
// pipe, at which it aborts.
func TestSendUnderFire(t *testing.T) {
	a, b := startPair(t, WithEvasiveTimeout(patience), WithExpiredTimeout(2*patience))
	const messages = 80_000
	var received sync.WaitGroup
	received.Go(func() {
		for i := range messages {
			if ev := next(t, b, Whisper, Exit); ev.Text() != strconv.Itoa(i) {
				t.Errorf("instead of message %d: %v %q", i, ev, ev.Msg)
				return
			}
		}
	})
	bombard(t, func() {
		for i := range messages {
			must(t, a.Whisper(b.UUID(), strconv.AppendInt(nil, int64(i), 10)))
		}
	})
	within(t, "receiver", received.Wait)
}

// Nodes begin and end in the storm: what they create inherits its mask.
func TestStartStopInStorm(t *testing.T) {
	stop := storm(t, 10_000)
	defer stop()
	opts := beacons(t)
	for i := range 25 {
		n, err := New(fmt.Sprint("n", i), opts...)
		must(t, err)
		within(t, fmt.Sprintf("node %d", i), func() {
			if err := n.Start(t.Context()); err != nil {
				t.Errorf("Start: %v", err)
			}
			if err := n.Join("G"); err != nil {
				t.Errorf("Join: %v", err)
			}
			if err := n.Stop(); err != nil {
				t.Errorf("Stop: %v", err)
			}
			if ev := next(t, n, Stop); ev.Peer != n.UUID() {
				t.Errorf("stop: %v", ev)
			}
			if err := n.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		if t.Failed() {
			return
		}
	}
}

// Endpoints are bound by a call that waits for a reply, which a signal must
// not leave behind for the next call.
func TestEndpointsInStorm(t *testing.T) {
	stop := storm(t, 3000)
	defer stop()
	for i := range 25 {
		n, err := New("n", WithEndpoint("tcp://127.0.0.1:*"))
		must(t, err)
		within(t, fmt.Sprintf("node %d", i), func() {
			if err := n.Start(t.Context()); err != nil {
				t.Errorf("Start: %v", err)
			}
			if err := n.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// runProgram runs one of programs in a process of its own.
func runProgram(t *testing.T, name string) (stdout, stderr string, state *os.ProcessState) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "ZYRE_TEST_PROGRAM="+name)
	var out, errors outputBuffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, "program "+name, func() { _ = cmd.Wait() })
	return out.String(), errors.String(), cmd.ProcessState
}

func gossipNode(opts ...Option) (*Node, error) {
	n, err := New("program", append(opts, WithEndpoint(anyLocal))...)
	if err != nil {
		return nil, err
	}
	return n, n.Start(noContext)
}

// programInterrupt succeeds if it is told of a Ctrl-C.
func programInterrupt() int {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	n, err := gossipNode()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
	select {
	case <-interrupts:
	case <-time.After(patience / 2):
		fmt.Fprintln(os.Stderr, "no interrupt")
		return 1
	}
	if err := n.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// programInterruptDefault asks for nothing and should die of a Ctrl-C.
func programInterruptDefault() int {
	if _, err := gossipNode(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
	time.Sleep(patience / 2)
	return 0
}

func TestInterruptReachesGo(t *testing.T) {
	if _, stderr, state := runProgram(t, "interrupt"); !state.Success() {
		t.Errorf("%v: %s", state, stderr)
	}
	_, stderr, state := runProgram(t, "interrupt-default")
	if status := state.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("%v: %s", state, stderr)
	}
}

// programIgnore lets no signal through, and succeeds if a Recv that begins
// right after an event still ends with its context.
func programIgnore() int {
	signal.Ignore()
	if err := waitAfterEvents(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// gossipPair returns two nodes that know each other.
func gossipPair() (a, b *Node, err error) {
	a, err = New("a", WithEndpoint(anyLocal), WithGossipBind("inproc://hub"))
	if err != nil {
		return nil, nil, err
	}
	b, err = New("b", WithEndpoint(anyLocal), WithGossipConnect("inproc://hub"),
		WithEvasiveTimeout(patience), WithExpiredTimeout(2*patience))
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(a.Start(noContext), b.Start(noContext)); err != nil {
		return nil, nil, err
	}
	if ev, err := a.Recv(noContext); err != nil || ev.Type != Enter {
		return nil, nil, fmt.Errorf("%v: %w", ev, err)
	}
	return a, b, nil
}

func waitAfterEvents() error {
	a, b, err := gossipPair()
	if err != nil {
		return err
	}
	defer a.Close()
	defer b.Close()
	for range 20 {
		if err := a.Whisper(b.UUID(), nil); err != nil {
			return err
		}
		for heard := false; !heard; {
			ev, err := b.Recv(noContext)
			if err != nil {
				return err
			}
			heard = ev.Type == Whisper
		}
		ctx, cancel := context.WithTimeout(noContext, 5*time.Millisecond)
		if ev, err := b.Recv(ctx); !errors.Is(err, context.DeadlineExceeded) {
			cancel()
			return fmt.Errorf("%v: %w", ev, err)
		}
		cancel()
	}
	return nil
}

// programLeave ends without Close.
func programLeave() int {
	if _, _, err := gossipPair(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// At the end of a program that has succeeded the race detector runs C's exit
// handlers, of which czmq's is not for one that has nodes.
func TestExitWithoutClose(t *testing.T) {
	if _, stderr, state := runProgram(t, "leave"); !state.Success() {
		t.Errorf("%v: %s", state, stderr)
	}
}

func TestRecvWithoutSignals(t *testing.T) {
	if _, stderr, state := runProgram(t, "ignore"); !state.Success() {
		t.Errorf("%v: %s", state, stderr)
	}
}
