//go:build cgo && !purego && linux

package zyre

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/hostile"
)

var robustness = flag.Bool("robustness", false, "run all attacks on libzyre and write what it does into docs/robustness.md")

func init() { programs["victim"] = beVictim }

// beVictim runs a node that sends every whisper back, until stdin ends.
func beVictim() int {
	n, err := New("victim", WithEndpoint(anyLocal), WithGossipBind(os.Getenv("ZYRE_TEST_HUB")))
	if err == nil {
		err = n.Start(context.Background())
	}
	if err == nil {
		err = n.Join("LOAD")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		for {
			ev, err := n.Recv(context.Background())
			if err != nil {
				return
			}
			if ev.Type == Whisper && ev.Name == "honest" {
				n.Whisper(ev.Peer, ev.Msg...)
			}
		}
	}()
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// besieged is a node of libzyre in a process of its own, and the honest peer
// that sees how it is.
type besieged struct {
	cmd    *exec.Cmd
	log    bytes.Buffer
	ended  chan struct{}
	honest *fallback.Node
	id     UUID
	scene  *hostile.Scene
	tokens int
}

func besiege(t *testing.T, number int) *besieged {
	t.Helper()
	hub, own := localEndpoint(t), localEndpoint(t)
	b := &besieged{ended: make(chan struct{})}
	b.cmd = exec.Command(os.Args[0])
	b.cmd.Env = append(os.Environ(), "ZYRE_TEST_PROGRAM=victim", "ZYRE_TEST_HUB="+hub)
	b.cmd.Stderr = &b.log
	stdin, err := b.cmd.StdinPipe()
	must(t, err)
	must(t, b.cmd.Start())
	go func() {
		b.cmd.Wait()
		close(b.ended)
	}()
	b.honest, err = fallback.New(fallback.Config{
		Name: "honest", Endpoint: own, GossipConnect: []fallback.Hub{{Endpoint: hub}},
		Evasive: 5 * time.Second, Expired: 30 * time.Second, InboxLimit: 1 << 20, SendLimit: 1 << 20,
	})
	must(t, err)
	must(t, b.honest.Start(context.Background()))
	t.Cleanup(func() {
		b.honest.Close()
		stdin.Close()
		select {
		case <-b.ended:
		case <-time.After(2 * time.Second):
			b.cmd.Process.Kill()
			<-b.ended
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		ev, err := b.honest.Recv(ctx)
		must(t, err)
		if ev.Kind == fallback.Enter {
			b.id = ev.Peer
			address := func(host byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 1, byte(number), host}) }
			b.scene = &hostile.Scene{
				Victim: hostile.Party{ID: ev.Peer, Endpoint: tcpAddr(ev.Addr)}, Hub: tcpAddr(hub), Group: "LOAD",
				Honest: hostile.Party{ID: b.honest.UUID(), Endpoint: tcpAddr(own)}, Addr: address(1), Other: address(2), Onward: true,
				Limits: hostile.Limits{
					HalfOpen: 512, Handshake: 10 * time.Second, Hello: 1 << 20, Groups: 4096, Foreign: 16,
					Frames: 64 << 10, Message: 64 << 20, Burst: 512, Rate: 64, Send: 3 * time.Second,
				},
			}
			return b
		}
	}
}

func tcpAddr(endpoint string) netip.AddrPort {
	return netip.MustParseAddrPort(strings.TrimPrefix(endpoint, "tcp://"))
}

// serves tells whether the victim answers its honest peer, and whether that
// peer has not seen it exit.
func (b *besieged) serves() (answers, kept bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	b.tokens++
	token := fmt.Sprint("token ", b.tokens)
	kept = b.honest.Whisper(b.id, []byte(token)) == nil
	for {
		ev, err := b.honest.Recv(ctx)
		switch {
		case err != nil:
			return false, kept
		case ev.Kind == fallback.Exit && ev.Peer == b.id:
			kept = false
		case ev.Kind == fallback.Enter && ev.Peer == b.id:
			b.honest.Whisper(b.id, []byte(token))
		case ev.Kind == fallback.Whisper && string(ev.Msg[0]) == token:
			return true, kept
		}
	}
}

// suffer lets an attack loose and says what became of the victim.
func (b *besieged) suffer(a hostile.Attack) string {
	result := make(chan error, 1)
	go func() { result <- a.Run(b.scene) }()
	select {
	case <-result:
	case <-time.After(15 * time.Second):
	case <-b.ended:
	}
	peak := b.resident()
	meanwhile, keptMeanwhile := b.serves()
	b.scene.Close()
	after, kept := b.serves()
	select {
	case <-b.ended:
		return "**the process ends**: " + b.lastWords()
	default:
	}
	answer := "survives"
	switch {
	case !after:
		return "**no longer answers its honest peer**"
	case !b.hasHub():
		return "**its hub is gone**"
	case !kept || !keptMeanwhile:
		answer = "loses its honest peer for a while"
	case !meanwhile:
		answer = "does not answer its honest peer while it lasts"
	}
	if peak > 64<<20 {
		answer += fmt.Sprintf("; grows to %d MiB", peak>>20)
	}
	return answer
}

// hasHub tells whether one can still connect to the victim's hub of gossip.
func (b *besieged) hasHub() bool {
	c, err := net.Dial("tcp", b.scene.Hub.String())
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// lastWords is what the C libraries have said at the end.
func (b *besieged) lastWords() string {
	for line := range strings.Lines(b.log.String()) {
		if i := strings.Index(line, "Assertion"); i >= 0 {
			return strings.TrimSpace(strings.ReplaceAll(line[i:], "|", "/"))
		}
		if strings.HasPrefix(line, "SIG") || strings.HasPrefix(line, "fatal error") {
			return strings.TrimSpace(line)
		}
	}
	return b.cmd.ProcessState.String()
}

// resident is the victim's largest resident size, in bytes.
func (b *besieged) resident() (n int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
	fmt.Sscan(rest, &n)
	return n << 10
}

// TestHostileToLibzyre attacks nodes of libzyre with what the pure Go engine
// must bear. Nothing is demanded of the C libraries: it is written down what
// becomes of them. Without -robustness a few attacks show that this works.
func TestHostileToLibzyre(t *testing.T) {
	chapters := []struct {
		name    string
		attacks []hostile.Attack
	}{
		{"Connections", hostile.ZMTP()}, {"Strangers", hostile.Strangers()},
		{"Peers", hostile.Peers()}, {"Clients of a gossip hub", hostile.HubAttacks()},
	}
	var mu sync.Mutex
	rows := map[string]string{}
	number := 0
	t.Run("all", func(t *testing.T) {
		for _, c := range chapters {
			for i, a := range c.attacks {
				if !*robustness && i > 1 {
					break
				}
				number++
				number := number
				t.Run(a.Name, func(t *testing.T) {
					number := number
					t.Parallel()
					verdict := besiege(t, number).suffer(a)
					t.Log(verdict)
					mu.Lock()
					defer mu.Unlock()
					rows[c.name+a.Name] = fmt.Sprintf("| %s | %s | %s |\n", a.Name, a.Does, verdict)
				})
			}
		}
	})
	if !*robustness || t.Failed() {
		return
	}
	var b strings.Builder
	for _, c := range chapters {
		fmt.Fprintf(&b, "\n### %s, against libzyre\n\n| attack | what it does | libzyre |\n|---|---|---|\n", c.name)
		for _, a := range c.attacks {
			b.WriteString(rows[c.name+a.Name])
		}
	}
	must(t, publish("docs/robustness.md", b.String()))
}

// publish puts the table into a document.
func publish(file, table string) error {
	const begin, end = "<!-- libzyre: written by go test . -run TestHostileToLibzyre -robustness -->\n", "<!-- end of libzyre -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := bytes.Cut(text, []byte(begin))
	_, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table", file)
	}
	return os.WriteFile(file, slices.Concat(head, []byte(begin), []byte(table), []byte("\n"+end), tail), 0o644)
}
