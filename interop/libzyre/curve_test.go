//go:build linux

package libzyre

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/interop/internal/cnode"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// safe starts nodes that announce themselves by beacons of version 3, which
// have a public key, and use CURVE.
type safe struct {
	t      *testing.T
	launch func(testing.TB) *exec.Cmd
}

func newSafe(t *testing.T) *safe {
	netlab.Need(t)
	return &safe{t, cnode.Build(t)}
}

// ours starts a node of ours with keys, or none.
func (s *safe) ours(name string, keys *key.Pair, allowed ...[32]byte) lab.Party {
	s.t.Helper()
	cfg := lab.Config(s.t, name)
	cfg.Keys, cfg.Allowed = keys, allowed
	cfg.Evasive, cfg.Expired = lab.Never/2, lab.Never
	return lab.NewNode(s.t, cfg).Party()
}

// theirs starts a node of libzyre with keys, or none.
func (s *safe) theirs(name string, keys *key.Pair, allowed ...[32]byte) lab.Party {
	s.t.Helper()
	setup := lab.Setup{Name: name, Allowed: s.folder(allowed)}
	if keys != nil {
		setup.Public, setup.Secret = key.Encode(keys.Public), key.Encode(keys.Secret)
	}
	return lab.Launch(s.t, s.launch(s.t)).Party(setup)
}

// folder has public certificates as czmq reads them.
func (s *safe) folder(keys [][32]byte) string {
	s.t.Helper()
	if keys == nil {
		return ""
	}
	dir := s.t.TempDir()
	for i, k := range keys {
		text := fmt.Sprintf("metadata\ncurve\n    public-key = \"%s\"\n", key.Encode(k))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("cert", i)), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return dir
}

func (s *safe) keys() *key.Pair {
	s.t.Helper()
	pair, err := key.New()
	if err != nil {
		s.t.Fatal(err)
	}
	return &pair
}

// Nodes with certificates find each other, whoever comes first.
func TestCurve(t *testing.T) {
	s := newSafe(t)
	everybody(t, s.ours("ours", s.keys()), s.theirs("theirs", s.keys()), s.ours("ours too", s.keys()))
}

// Who is on a list of those that may be peers is one.
func TestCurveAllowed(t *testing.T) {
	s := newSafe(t)
	our, their := s.keys(), s.keys()
	everybody(t, s.ours("ours", our, their.Public), s.theirs("theirs", their, our.Public))
}

// Strangers to a node with a certificate are those without one, with keys that
// do not belong together, and who are not on the list. None becomes a peer,
// while an acquaintance who comes after them does.
func TestCurveStrangers(t *testing.T) {
	s := newSafe(t)
	forged := s.keys()
	forged.Public = s.keys().Public
	strangers := map[string]*key.Pair{"WithoutKeys": nil, "ForgedKey": forged, "NotOnTheList": s.keys()}
	for name, stranger := range strangers {
		t.Run(name, func(t *testing.T) {
			s := newSafe(t)
			victim, friend := s.keys(), s.keys()
			t.Run("TheirsToOurs", func(t *testing.T) {
				s := &safe{t, s.launch}
				checkStranger(t, s.ours("ours", victim, friend.Public), s.theirs("stranger", stranger),
					func() lab.Party { return s.theirs("friend", friend) })
			})
			t.Run("OursToTheirs", func(t *testing.T) {
				s := &safe{t, s.launch}
				checkStranger(t, s.theirs("theirs", victim, friend.Public), s.ours("stranger", stranger),
					func() lab.Party { return s.ours("friend", friend) })
			})
		})
	}
}

// checkStranger waits until a friend of the victim, who has come last, has
// met it: the stranger has not, and hears nothing of what is said.
func checkStranger(t *testing.T, victim, stranger lab.Party, start func() lab.Party) {
	t.Helper()
	victim.Join(group)
	stranger.Join(group)
	friend := start()
	everybody(t, victim, friend)
	victim.Shout(group, []byte("secret"))
	lab.Talk(t, victim, friend)
	victim.Quiet(t, stranger.ID)
	for _, kind := range []fallback.Kind{fallback.Whisper, fallback.Shout} {
		if n := stranger.Count(kind); n != 0 {
			t.Errorf("the stranger has heard %d messages of kind %d", n, kind)
		}
	}
}
