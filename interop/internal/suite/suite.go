// Package suite is what a node of ours and a foreign one must be able to do
// with each other, whoever wrote the foreign one.
package suite

import (
	"os/exec"
	"testing"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// Implementation is somebody's implementation of ZRE, and where it differs.
type Implementation struct {
	// Command is the program around its node that lab.Launch starts.
	Command func(testing.TB) *exec.Cmd
	// OneFrame: it sends and delivers only the first frame of a message.
	OneFrame bool
	// JoinsFirst: it tells of a new peer's groups before it tells of the peer.
	JoinsFirst bool
}

// Run runs the suite.
func Run(t *testing.T, impl Implementation) {
	netlab.Need(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, Implementation)
	}{
		{"AmongThemselves", testAmongThemselves},
		{"Events", testEvents},
		{"Frames", testFrames},
		{"Outsider", testOutsider},
		{"OurStop", testOurStop},
		{"TheirStop", testTheirStop},
		{"TheirDeath", testTheirDeath},
		{"TheirRestart", testTheirRestart},
		{"Room", testRoom},
		{"Floods", testFloods},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, impl) })
	}
}

func (impl Implementation) launch(t *testing.T) *lab.Foreign {
	t.Helper()
	return lab.Launch(t, impl.Command(t))
}

// theirHeaders are those of every foreign node, ourHeaders of every node of
// ours, which Pyre could not send: it counts characters where bytes count.
var (
	theirHeaders = map[string]string{"X-ROLE": "theirs", "X-EMPTY": ""}
	ourHeaders   = map[string]string{"X-ROLE": "ours", "X-TEXT": "größer als 255 Byte? nein"}
)

const (
	theirName = "theirs"
	ourName   = "unser Knöten" // more bytes than characters
)

// pair is a node of ours and a foreign one that know each other.
type pair struct {
	impl   Implementation
	ours   *lab.Node
	theirs *lab.Foreign
	our    lab.UUID
	their  lab.UUID
}

// newPair starts a node of each kind, theirs first, both in the groups from
// the start, and waits until each has met the other.
func newPair(t *testing.T, impl Implementation, groups ...string) *pair {
	t.Helper()
	return newPairOf(t, newNode(t, ourName), impl, groups...)
}

func newPairOf(t *testing.T, ours *lab.Node, impl Implementation, groups ...string) *pair {
	t.Helper()
	p := &pair{impl: impl, ours: ours, theirs: impl.launch(t)}
	for _, g := range groups {
		p.ours.Must(p.ours.Join(g))
	}
	p.theirs.Start(theirName, theirHeaders, groups...)
	p.their = p.theirs.UUID
	p.our = p.ours.Start()
	p.meet(t, groups...)
	return p
}

// meet waits until each node has met the other, who is in the groups.
func (p *pair) meet(t *testing.T, groups ...string) (oursSaw, theirsSaw lab.Event) {
	t.Helper()
	oursSaw = p.ours.Next(t, p.their, fallback.Enter)
	if !p.impl.JoinsFirst {
		theirsSaw = p.theirs.Next(t, p.our, fallback.Enter)
	}
	for _, g := range groups {
		wantGroup(t, p.ours.Next(t, p.their, fallback.Join), g)
		wantGroup(t, p.theirs.Next(t, p.our, fallback.Join), g)
	}
	if p.impl.JoinsFirst {
		theirsSaw = p.theirs.Next(t, p.our, fallback.Enter)
	}
	return oursSaw, theirsSaw
}

// quiet checks that neither node was told more of the other.
func (p *pair) quiet(t *testing.T) {
	t.Helper()
	p.ours.Quiet(t, p.their)
	p.theirs.Quiet(t, p.our)
}

// newNode makes a node that gives nobody up: a peer that has much to read, on
// a machine that has much to do, answers late.
func newNode(t *testing.T, name string) *lab.Node {
	t.Helper()
	cfg := lab.Config(t, name)
	cfg.Evasive, cfg.Expired = lab.Never/2, lab.Never
	cfg.Headers = ourHeaders
	return lab.NewNode(t, cfg)
}

func wantGroup(t *testing.T, ev lab.Event, group string) {
	t.Helper()
	if ev.Group != group {
		t.Fatalf("event %d of group %q instead of %q", ev.Kind, ev.Group, group)
	}
}
