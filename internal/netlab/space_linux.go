package netlab

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// space is a network namespace and the thread that lives in it. The kernel
// frees the namespace when the thread, its child processes and the sockets
// opened there are gone.
type space struct {
	tid  int
	work chan func()
}

// newSpace makes a namespace, empty but for a loopback interface that is down.
func newSpace() (*space, error) {
	s := &space{work: make(chan func())}
	ready := make(chan error)
	go s.live(ready)
	return s, <-ready
}

// live is the thread of the namespace. It is never unlocked, so the runtime
// ends it with this goroutine, and no other ever runs in the namespace.
func (s *space) live(ready chan<- error) {
	runtime.LockOSThread()
	if syscall.Gettid() == os.Getpid() {
		// What the main thread sees counts for the whole process, such as
		// /proc/net. Another goroutine gets another thread while this one
		// keeps the main thread busy.
		elsewhere := make(chan error)
		go s.live(elsewhere)
		ready <- <-elsewhere
		runtime.UnlockOSThread()
		return
	}
	s.tid = syscall.Gettid()
	err := s.enter()
	ready <- err
	if err != nil {
		return
	}
	s.serve()
}

// serve runs what do sends. A function that fails the test ends its goroutine
// with runtime.Goexit, which cannot be stopped but runs deferred calls first:
// in one of them the thread goes on serving, so that cleanups find it alive.
func (s *space) serve() {
	closed := false
	defer func() {
		if r := recover(); r != nil {
			panic(r)
		}
		if !closed {
			s.serve()
		}
	}()
	for f := range s.work {
		f()
	}
	closed = true
}

// enter moves the calling thread into a new namespace, and makes sure of it.
func (s *space) enter() error {
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return fmt.Errorf("new network namespace: %w", err)
	}
	inside, err := os.Readlink(s.path())
	if err != nil {
		return err
	}
	if inside == outside {
		return fmt.Errorf("thread %d is still in the namespace of the process, %s", s.tid, outside)
	}
	return nil
}

// path is where programs find the namespace.
func (s *space) path() string { return fmt.Sprintf("/proc/%d/ns/net", s.tid) }

// close ends the thread.
func (s *space) close() { close(s.work) }

// do runs f on the namespace's thread. If f does not return, because it
// failed the test, neither does do.
func (s *space) do(f func()) {
	returned := false
	done := make(chan struct{})
	s.work <- func() {
		defer close(done)
		f()
		returned = true
	}
	<-done
	if !returned {
		runtime.Goexit()
	}
}

// exec runs a program in the namespace: a child process is in that of the
// thread which starts it.
func (s *space) exec(name string, args ...string) error {
	var out []byte
	var err error
	s.do(func() { out, err = exec.Command(name, args...).CombinedOutput() })
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// run runs a command line, which is split at blanks.
func (s *space) run(format string, args ...any) error {
	words := strings.Fields(fmt.Sprintf(format, args...))
	return s.exec(words[0], words[1:]...)
}

// runAll runs several command lines, up to the first that fails.
func (s *space) runAll(lines ...string) error {
	for _, l := range lines {
		if err := s.run("%s", l); err != nil {
			return err
		}
	}
	return nil
}

// set writes a setting of the namespace's IP stack, such as
// "ipv6/conf/default/accept_dad". The kernel shows each thread its own.
func (s *space) set(name, value string) error {
	var err error
	s.do(func() { err = os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o644) })
	return err
}
