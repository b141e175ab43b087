//go:build cgo && !purego

package zyre

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"unsafe"
)

// told is what an application sees of messages as libzyre sends them, which
// keeps its connection to the peer "kept".
func told(r *roster, messages ...[]string) (got []string) {
	for _, m := range messages {
		var frames [][]byte
		for _, f := range m {
			frames = append(frames, []byte(f))
		}
		ev, about, ok := r.event(frames)
		if !ok {
			continue
		}
		for _, ev := range r.admit(nil, ev, about, func(id UUID) bool { return r.byID[id].name != "kept" }) {
			got = append(got, fmt.Sprintf("%s %d %s%s%s", ev.Type, ev.Peer[0], ev.Name, ev.Addr, ev.Group))
		}
	}
	return got
}

// message is one of libzyre's; id is the first byte of the UUID.
func message(kind string, id byte, more ...string) []string {
	uuid := make([]byte, 16)
	uuid[0] = id
	return append([]string{kind, hex.EncodeToString(uuid)}, more...)
}

func TestOnlyThoseWhoEnteredAreToldOf(t *testing.T) {
	for name, c := range map[string]struct {
		messages [][]string
		want     []string
	}{
		"never entered": {
			[][]string{message("EVASIVE", 1, ""), message("SILENT", 1, ""), message("EXIT", 1, ""), message("WHISPER", 1, "", "x")},
			nil,
		},
		"whole life": {
			[][]string{message("ENTER", 1, "n", "A"), message("EVASIVE", 1, "n"), message("JOIN", 1, "n", "G"), message("EXIT", 1, "n"), message("EXIT", 1, "n")},
			[]string{"ENTER 1 nA", "EVASIVE 1 n", "JOIN 1 nG", "EXIT 1 n"},
		},
		"second enter": {
			[][]string{message("ENTER", 1, "n", "A"), message("ENTER", 1, "m", "A")},
			[]string{"ENTER 1 nA", "EXIT 1 n", "ENTER 1 mA"},
		},
		"same address": {
			[][]string{message("ENTER", 1, "n", "A"), message("ENTER", 2, "m", "A"), message("EXIT", 1, "n")},
			[]string{"ENTER 1 nA", "EXIT 1 n", "ENTER 2 mA"},
		},
		"same address, as it says": {
			[][]string{message("ENTER", 1, "kept", "A"), message("ENTER", 2, "m", "A"), message("EXIT", 1, "kept")},
			[]string{"ENTER 1 keptA", "ENTER 2 mA", "EXIT 1 kept"},
		},
		"no address": {
			[][]string{message("ENTER", 1, "n", ""), message("ENTER", 2, "m", "")},
			[]string{"ENTER 1 n", "ENTER 2 m"},
		},
		"leader may be this node": {
			[][]string{message("LEADER", 9, "n", "G")},
			[]string{"LEADER 9 nG"},
		},
		"no events": {
			[][]string{{}, {"ENTER"}, message("ENTER", 1, "n"), message("JOIN", 1, "n"), message("SHOUT", 1, "n"), message("NEW", 1, "n"), {"EXIT", "short", "n"}},
			nil,
		},
		"stop": {
			[][]string{message("ENTER", 1, "n", "A"), message("STOP", 9, "me"), message("EXIT", 1, "n")},
			[]string{"ENTER 1 nA", "STOP 9 me"},
		},
	} {
		if got := told(newRoster(), c.messages...); !slices.Equal(got, c.want) {
			t.Errorf("%s: told of %q, want %q", name, got, c.want)
		}
	}
}

func TestGroupsEndWithTheirMembers(t *testing.T) {
	r := newRoster()
	told(r, message("ENTER", 1, "n", "A"), message("ENTER", 2, "m", "B"),
		message("JOIN", 1, "n", "G"), message("JOIN", 2, "m", "G"), message("JOIN", 2, "m", "H"))
	if got := r.groupNames(); !slices.Equal(got, []string{"G", "H"}) || r.groupSize("G") != 2 {
		t.Errorf("groups %q, %d in G", got, r.groupSize("G"))
	}
	told(r, message("EXIT", 2, "m"))
	if got := r.groupNames(); !slices.Equal(got, []string{"G"}) || len(r.groupPeers("H")) != 0 {
		t.Errorf("groups after exit %q", got)
	}
	told(r, message("LEAVE", 1, "n", "G"))
	if got := r.groupNames(); len(got) != 0 {
		t.Errorf("groups after leave %q", got)
	}
	if peers, entered, exited := r.totals(); peers != 1 || entered != 2 || exited != 1 {
		t.Errorf("%d peers, %d entered, %d exited", peers, entered, exited)
	}
}

func TestDecodeHeaders(t *testing.T) {
	whole := "\x00\x00\x00\x02\x01K\x00\x00\x00\x01v\x02LL\x00\x00\x00\x00"
	if got := decodeHeaders([]byte(whole)); !reflect.DeepEqual(got, map[string]string{"K": "v", "LL": ""}) {
		t.Errorf("got %q", got)
	}
	for n := range len(whole) {
		if got := decodeHeaders([]byte(whole[:n])); len(got) > 1 {
			t.Errorf("of %d bytes: %q", n, got)
		}
	}
	if got := decodeHeaders([]byte("\x00\x00\x00\x00")); got != nil {
		t.Errorf("of none: %q", got)
	}
	if got := decodeHeaders([]byte("\xff\xff\xff\xff\xff")); len(got) != 0 {
		t.Errorf("of garbage: %q", got)
	}
}

// What a batch has of a message with one frame of more than 4 GiB.
func TestFrameOfGiBs(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("there is none on 32 bits")
	}
	size := uint64(1<<32 + 5)
	memory, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_READ, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Skip(err)
	}
	defer syscall.Munmap(memory)
	b := batch{large: zeroes(batch{}.large, 1)}
	*(*unsafe.Pointer)(unsafe.Pointer(&b.large[0].data)) = unsafe.Pointer(&memory[0])
	for _, n := range []uint64{1, size} { // frames, and the length of the only one
		b.bytes = binary.NativeEndian.AppendUint64(b.bytes, n)
	}
	if frames := b.message(nil); len(frames) != 1 || len(frames[0]) != int(size) || len(b.bytes) != 0 {
		t.Errorf("%d frames, of which the first has %d bytes", len(frames), len(frames[0]))
	}
}

// zeroes makes a slice of the type of another, which only C can name.
func zeroes[T any](_ []T, n int) []T { return make([]T, n) }

func TestInboxKeepsOrderAndGivesRoomBack(t *testing.T) {
	in := newInbox()
	pushed, read := 0, 0
	for round := range 300 {
		for range 100 + round%7 {
			in.push([]Event{{Group: fmt.Sprint(pushed), Msg: [][]byte{{1, 2}}}})
			pushed++
		}
		for range 100 {
			ev, err := in.recv(t.Context(), func() *presence { return nil })
			if err != nil || ev.Group != fmt.Sprint(read) {
				t.Fatalf("instead of %d: %v, %v", read, ev, err)
			}
			read++
		}
	}
	if events, bytes := in.waiting(); events != pushed-read || bytes != 2*events {
		t.Errorf("%d events and %d bytes are left of %d", events, bytes, pushed-read)
	}
	if room := cap(in.events); room > 4*(pushed-read)+1000 {
		t.Errorf("room for %d events is kept for %d", room, pushed-read)
	}
}
