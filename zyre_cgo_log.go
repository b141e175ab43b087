//go:build cgo && !purego

package zyre

import (
	"bufio"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
)

var noContext = context.Background()

// czmqLog brings czmq's log, one for the process and by default on standard
// output, to the loggers of the nodes.
var czmqLog logHub

// logHub knows the loggers of the nodes that exist.
type logHub struct {
	mu    sync.Mutex
	nodes map[*presence]logTarget
}

type logTarget struct {
	name   string // as it stands in libzyre's lines
	logger *slog.Logger
}

// open starts reading the log, and returns the descriptor to write it to.
// Its writers are the threads of the network: rather than to make them wait
// for a slow reader it loses lines.
func (h *logHub) open() (fd int, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return -1, err
	}
	defer w.Close()
	if fd, err = syscall.Dup(int(w.Fd())); err != nil {
		r.Close()
		return -1, err
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		return -1, err
	}
	go h.read(r)
	return fd, nil
}

func (h *logHub) read(r *os.File) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		h.line(lines.Text())
	}
}

func (h *logHub) add(p *presence, logger *slog.Logger) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nodes == nil {
		h.nodes = map[*presence]logTarget{}
	}
	h.nodes[p] = logTarget{name: p.name, logger: logger}
}

func (h *logHub) remove(p *presence) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.nodes, p)
}

// line logs one line of czmq.
func (h *logHub) line(line string) {
	level, text := parseLogLine(line)
	for _, logger := range h.loggers(text) {
		logger.Log(noContext, level, text, "library", "libzyre")
	}
}

// loggers returns those that a line is for. libzyre begins most lines with
// the name of the node; others could be about any, and go to each logger.
func (h *logHub) loggers(text string) []*slog.Logger {
	h.mu.Lock()
	defer h.mu.Unlock()
	var named, all []*slog.Logger
	for _, t := range h.nodes {
		all = addLogger(all, t.logger)
		if strings.HasPrefix(text, "("+t.name+")") {
			named = addLogger(named, t.logger)
		}
	}
	if named != nil {
		return named
	}
	return all
}

func addLogger(list []*slog.Logger, l *slog.Logger) []*slog.Logger {
	if slices.Contains(list, l) {
		return list
	}
	return append(list, l)
}

// parseLogLine takes a line such as "W: 26-11-22 17:00:00 text" apart.
// libzyre logs its traffic as information, which is for debugging.
func parseLogLine(line string) (slog.Level, string) {
	if len(line) < 2 || line[1] != ':' {
		return slog.LevelInfo, line
	}
	text := strings.TrimSpace(line[2:])
	if parts := strings.SplitN(text, " ", 3); len(parts) == 3 && strings.Count(parts[1], ":") == 2 {
		text = parts[2]
	}
	switch line[0] {
	case 'E':
		return slog.LevelError, text
	case 'W':
		return slog.LevelWarn, text
	case 'N':
		return slog.LevelInfo, text
	}
	return slog.LevelDebug, text
}
