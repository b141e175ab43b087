package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

// process is a worker.
type process struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	replies chan protocol.Reply // closed when the worker has ended
	stderr  tail
	reaped  chan struct{}
}

func startProcess(program string) (*process, error) {
	p := &process{cmd: exec.Command(program), replies: make(chan protocol.Reply), reaped: make(chan struct{})}
	p.cmd.Stderr = &p.stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.read(stdout)
	return p, nil
}

// read hands over replies until the worker ends.
func (p *process) read(stdout io.Reader) {
	defer close(p.reaped)
	defer func() { _ = p.cmd.Wait() }()
	defer close(p.replies)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var reply protocol.Reply
		if err := json.Unmarshal(lines.Bytes(), &reply); err != nil {
			fmt.Fprintf(&p.stderr, "reply %q: %v\n", lines.Text(), err)
			return
		}
		p.replies <- reply
	}
}

// ask sends a request and waits for its reply. A worker keeps deadlines by
// itself; one that does not is given up a little later.
func (p *process) ask(req protocol.Request) (protocol.Reply, error) {
	if err := p.send(req); err != nil {
		return protocol.Reply{}, p.failed(req.Do, err)
	}
	late := time.NewTimer(time.Duration(req.DeadlineMS)*time.Millisecond + 10*time.Second)
	defer late.Stop()
	select {
	case reply, ok := <-p.replies:
		if !ok {
			return reply, p.failed(req.Do, errors.New("worker has ended"))
		}
		if reply.Error != "" {
			return reply, p.failed(req.Do, errors.New(reply.Error))
		}
		return reply, nil
	case <-late.C:
		return protocol.Reply{}, p.failed(req.Do, errors.New("worker does not answer"))
	}
}

func (p *process) send(req protocol.Request) error {
	line, err := json.Marshal(req)
	if err != nil {
		return err
	}
	_, err = p.stdin.Write(append(line, '\n'))
	return err
}

func (p *process) failed(do string, err error) error {
	if text := p.stderr.String(); text != "" {
		return fmt.Errorf("%s: %w; it printed: %s", do, err, text)
	}
	return fmt.Errorf("%s: %w", do, err)
}

// stop ends the worker, by force if it does not end by itself.
func (p *process) stop() {
	_ = p.stdin.Close()
	go func() {
		for range p.replies { // the answer that nobody waited for
		}
	}()
	select {
	case <-p.reaped:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.reaped
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if excess := t.buf.Len() - 2000; excess > 0 {
		t.buf.Next(excess)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.buf.String())
}

// resident returns the memory of the worker in bytes.
func (p *process) resident() (int64, error) {
	var pages, resident int64
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(string(data), &pages, &resident)
	return resident * int64(os.Getpagesize()), err
}

// clockTick is the unit of CPU times in /proc, the same on all Linux systems.
const clockTick = int64(time.Second / 100)

// cpuTime returns what the worker has used, in user mode and in the kernel,
// in nanoseconds.
func (p *process) cpuTime() (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The name of the program, in brackets, may contain anything.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	const user, system = 11, 12
	if len(fields) <= system {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", p.cmd.Process.Pid, len(fields))
	}
	var utime, stime int64
	if _, err := fmt.Sscan(fields[user]+" "+fields[system], &utime, &stime); err != nil {
		return 0, err
	}
	return (utime + stime) * clockTick, nil
}
