//go:build cgo && !purego && linux

package zyre

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/testport"
)

var robustness = flag.Bool("robustness", false, "run all attacks on libzyre and write what it does into docs/robustness.md")

// suffer lets an attack loose and says what became of the victim.
func (b *besieged) suffer(a hostile.Attack) string {
	result := make(chan error, 1)
	go func() { result <- a.Run(b.scene) }()
	var answer error
	select {
	case answer = <-result:
	case <-time.After(15 * time.Second):
	case <-b.ended:
	}
	peak := b.resident()
	meanwhile, keptMeanwhile := b.serves(8 * time.Second)
	b.scene.Close()
	after, kept := b.serves(patience)
	select {
	case <-b.ended:
		return "**the process ends**: " + b.lastWords()
	default:
	}
	verdict := "survives"
	switch {
	case !after:
		return "**no longer answers its honest peer**"
	case !b.hasHub():
		return "**its hub is gone**"
	case !kept || !keptMeanwhile:
		verdict = "loses its honest peer for a while"
	case !meanwhile:
		verdict = "does not answer its honest peer while it lasts"
	}
	if times := hostile.ConnectedError(0); errors.As(answer, &times) {
		verdict += fmt.Sprintf("; connections: %d", times)
	}
	if peak > 64<<20 {
		verdict += fmt.Sprintf("; grows to %d MiB", peak>>20)
	}
	return verdict
}

// fatal tells a verdict after which the victim is of no use any more.
func fatal(verdict string) bool { return strings.HasPrefix(verdict, "**") }

// TestAllowedKeysProtect: who is none of the peers that a node names does not
// get as far as libzyre, which some of this would end.
func TestAllowedKeysProtect(t *testing.T) {
	for i, a := range hostile.CurveAttacks() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			if verdict := besiege(t, closed, 100+i).suffer(a); fatal(verdict) {
				t.Error(verdict)
			}
		})
	}
}

// TestHostileToLibzyre attacks nodes of libzyre with what the pure Go engine
// must bear. Nothing is demanded of the C libraries: it is written down what
// becomes of them. Without -robustness a few attacks show that this works.
func TestHostileToLibzyre(t *testing.T) {
	chapters := []struct {
		name    string
		attacks []hostile.Attack
		siege   siege
	}{
		{"Beacons", hostile.UDP(), announced},
		{"Connections", hostile.ZMTP(), hubs},
		{"Strangers", hostile.Strangers(), hubs},
		{"Peers", hostile.Peers(), hubs},
		{"Listeners", hostile.Listeners(), announced},
		{"CURVE", hostile.CurveAttacks(), secured},
		{"CURVE with allowed keys", append(hostile.DeniedAttacks(), hostile.CurveAttacks()...), closed},
		{"Clients of a gossip hub", hostile.HubAttacks(), hubs},
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
				t.Run(c.name+"/"+a.Name, func(t *testing.T) {
					t.Parallel()
					verdict := besiege(t, c.siege, number).suffer(a)
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
	must(t, hostile.Publish("docs/robustness.md", "<!-- libzyre: written by go test . -run TestHostileToLibzyre -robustness -->",
		b.String(), "<!-- end of libzyre -->"))
}

// A message without frames takes the next event of libzyre with it.
func TestStopBehindAMessageWithoutFrames(t *testing.T) {
	endpoint := testport.Endpoint()
	a := startNode(t, "a", WithEndpoint(endpoint))
	scene := &hostile.Scene{
		Addr:   netip.MustParseAddr("127.0.0.1"),
		Victim: hostile.Party{ID: a.UUID(), Endpoint: tcpAddr(endpoint)},
	}
	defer scene.Close()
	c, err := scene.Enter()
	must(t, err)
	c.Send(hostile.Frame(0, hostile.Plain(hostile.KindWhisper, c.Next())))
	must(t, c.Answers())
	scene.Close()
	must(t, a.Stop())
	if ev := next(t, a, Stop); ev.Peer != a.UUID() || ev.Name != "a" {
		t.Errorf("got %v", ev)
	}
}
