package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// IsolatedInterface is the Ethernet interface of an isolated test process.
const IsolatedInterface = "veth0"

// isolatedEnv says in the environment of a process how far its isolation is.
const (
	isolatedEnv = "NETLAB_ISOLATED"
	stateNew    = "new"   // it is in a namespace without interfaces
	stateReady  = "ready" // it is in a namespace with IsolatedInterface
)

// Isolate gives tests that cannot use the loopback interface a network of
// their own. Call it first in TestMain: it runs the test binary again in a new
// namespace with [IsolatedInterface], on which processes there can broadcast
// to each other, and returns its exit code and true. In that run, and in the
// processes it starts, it returns false: go on with the tests. It also does
// where no namespace can be made; [Isolated] then says so to each test.
func Isolate() (code int, reran bool) {
	switch os.Getenv(isolatedEnv) {
	case stateReady:
		return 0, false
	case stateNew:
		if err := setUpIsolation(); err != nil {
			fmt.Fprintln(os.Stderr, "netlab:", err)
			return 1, true
		}
		return 0, false
	}
	if lacking() != "" {
		return 0, false
	}
	return rerun(), true
}

// Isolated reports whether the process has [IsolatedInterface].
func Isolated() bool { return os.Getenv(isolatedEnv) == stateReady }

// rerun runs this program again in a new namespace. The child is to die with
// the thread that started it, so the thread must stay.
func rerun() int {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), isolatedEnv+"="+stateNew)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "netlab: isolated tests:", err)
		return 1
	}
}

// setUpIsolation makes the interface. Its other end is there only for it to
// be up: what is broadcast also reaches the sockets of the sender's host.
func setUpIsolation() error {
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", IsolatedInterface, "type", "veth", "peer", "name", "veth1"},
		{"link", "set", "veth1", "up"},
		{"address", "add", "10.78.0.1/24", "brd", "+", "dev", IsolatedInterface},
		{"link", "set", IsolatedInterface, "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	if err := awaitUsable(IsolatedInterface, os.ReadFile); err != nil {
		return err
	}
	return os.Setenv(isolatedEnv, stateReady)
}
