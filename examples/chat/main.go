// Chat is a chat room on the local network, the group CHAT: the same that the
// chat examples of Zyre and Pyre use, so it shares a room with them.
//
//	chat -name alice
//	chat -name bob -interface eth0
//
// A line that is typed goes to everybody. Commands: /peers, /whisper NAME
// TEXT, /help, /quit. Ctrl-C leaves.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"os/user"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/gozyre/zyre"
)

const (
	group = "CHAT"
	help  = "/peers: who is here   /whisper NAME TEXT: to one only   /quit: leave   anything else goes to everybody"
)

func main() {
	name := flag.String("name", userName(), "the name that others see")
	iface := flag.String("interface", "", "network interface, such as eth0 or lo; * for all (default: chosen, see -v)")
	port := flag.Int("port", zyre.DefaultPort, "UDP port on which the room announces itself")
	verbose := flag.Bool("v", false, "log what the node does")
	flag.Parse()

	opts := []zyre.Option{zyre.WithPort(*port)}
	if *iface != "" {
		opts = append(opts, zyre.WithInterface(*iface))
	}
	if *verbose {
		opts = append(opts, zyre.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *name, os.Stdin, os.Stdout, opts...); err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "somebody"
}

// run is in the room until the input ends, /quit, or ctx is done.
func run(ctx context.Context, name string, in io.Reader, out io.Writer, opts ...zyre.Option) error {
	node, err := zyre.New(name, opts...)
	if err != nil {
		return err
	}
	defer node.Close()
	if err := node.Join(group); err != nil {
		return err
	}
	if err := node.Start(ctx); err != nil {
		return err
	}
	r := &room{node: node, out: out, names: map[zyre.UUID]string{}}
	r.print("%s, you are in the room. /help tells what you can do.", node.Name())

	ctx, quit := context.WithCancel(ctx)
	defer quit()
	go func() {
		defer quit()
		r.read(in)
	}()
	for ev, err := range node.Events(ctx) {
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			return err
		}
		r.show(ev)
	}
	r.print("bye")
	return node.Stop()
}

// room is what one person sees of the chat.
type room struct {
	node  *zyre.Node
	mu    sync.Mutex // guards out and names
	out   io.Writer
	names map[zyre.UUID]string
}

func (r *room) print(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format+"\n", args...)
}

// show prints an event as a person wants to read it.
func (r *room) show(ev zyre.Event) {
	name := printable(ev.Name)
	switch ev.Type {
	case zyre.Join:
		if ev.Group == group {
			r.know(ev.Peer, ev.Name)
			r.print("* %s has come in", name)
		}
	case zyre.Leave:
		if ev.Group == group && r.forget(ev.Peer) {
			r.print("* %s has gone out", name)
		}
	case zyre.Exit:
		if r.forget(ev.Peer) {
			r.print("* %s has left", name)
		}
	case zyre.Silent:
		r.print("* %s has fallen silent", name)
	case zyre.Shout:
		if ev.Group == group {
			r.print("%s: %s", name, text(ev.Msg))
		}
	case zyre.Whisper:
		r.print("%s whispers: %s", name, text(ev.Msg))
	}
}

func (r *room) know(id zyre.UUID, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[id] = name
}

func (r *room) forget(id zyre.UUID) (known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known = r.names[id]
	delete(r.names, id)
	return known
}

// text is a message as one line that cannot disturb the terminal.
func text(frames [][]byte) string {
	parts := make([]string, len(frames))
	for i, f := range frames {
		parts[i] = printable(string(f))
	}
	return strings.Join(parts, " ")
}

// printable replaces what a stranger must not send to a terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return '·'
		}
		return c
	}, strings.ToValidUTF8(s, "·"))
}

// read does what is typed, to the end of the input or /quit.
func (r *room) read(in io.Reader) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "/quit" {
			return
		}
		if err := r.do(line); err != nil {
			r.print("! %v", err)
		}
	}
}

func (r *room) do(line string) error {
	command, rest, _ := strings.Cut(line, " ")
	switch {
	case line == "":
		return nil
	case command == "/help":
		r.print("%s", help)
	case command == "/peers":
		r.print("here: %s", strings.Join(r.who(), ", "))
	case command == "/whisper":
		name, text, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if text == "" {
			return errors.New("/whisper NAME TEXT")
		}
		return r.whisper(name, text)
	case strings.HasPrefix(line, "/"):
		return fmt.Errorf("%s is no command. %s", command, help)
	default:
		return r.node.Shout(group, []byte(line))
	}
	return nil
}

// who returns the names of those in the room, sorted.
func (r *room) who() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := []string{printable(r.node.Name()) + " (you)"}
	for _, name := range r.names {
		all = append(all, printable(name))
	}
	slices.Sort(all)
	return all
}

// whisper sends to everybody of that name: names need not be unique.
func (r *room) whisper(name, text string) error {
	r.mu.Lock()
	var to []zyre.UUID
	for id, n := range r.names {
		if n == name {
			to = append(to, id)
		}
	}
	r.mu.Unlock()
	if len(to) == 0 {
		return fmt.Errorf("nobody here is called %q", name)
	}
	var errs []error
	for _, id := range to {
		errs = append(errs, r.node.Whisper(id, []byte(text)))
	}
	return errors.Join(errs...)
}
