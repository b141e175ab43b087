package gossip

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
)

// captured returns what one side of a captured connection of czmq's zgossip
// said after its greeting.
func captured(tb testing.TB, file, side string) (bodies [][]byte) {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "zre", "testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	var stream []byte
	for line := range strings.Lines(string(text)) {
		if digits, ok := strings.CutPrefix(strings.TrimSpace(line), side+" "); ok {
			b, err := hex.DecodeString(digits)
			if err != nil {
				tb.Fatal(err)
			}
			stream = append(stream, b...)
		}
	}
	const greeting = 64
	rd := zmtp.NewReader(bytes.NewReader(stream[greeting:]), maxFrame)
	for {
		flags, body, ok, err := rd.Next()
		switch {
		case err != nil:
			tb.Fatal(err)
		case ok && flags&zmtp.Command == 0:
			bodies = append(bodies, slices.Clone(body))
		case !ok && rd.Fill() != nil:
			return bodies
		}
	}
}

var captures = []struct {
	file, side string
	kinds      []kind
}{
	{"gossip_n2_to_hub.hex", "C", []kind{kindHello, kindPublish, kindPublish, kindPublish}},
	{"gossip_n2_to_hub.hex", "S", []kind{kindPublish, kindPublish, kindPublish}},
	{"gossip_n3_to_hub.hex", "C", []kind{kindHello, kindPublish, kindPublish, kindPublish}},
	{"gossip_n3_to_hub.hex", "S", []kind{kindPublish, kindPublish, kindPublish}},
	{"gossip_ping_invalid.hex", "C", []kind{kindPing, kindPublish, kindHello, kindPublish, kindPing}},
	{"gossip_ping_invalid.hex", "S", []kind{kindPong, kindInvalid, kindPublish, kindPublish, kindPong}},
}

func TestCaptures(t *testing.T) {
	for _, c := range captures {
		var kinds []kind
		for _, body := range captured(t, c.file, c.side) {
			k, tup, err := parse(body)
			if err != nil {
				t.Errorf("%s %s: %x: %v", c.file, c.side, body, err)
			}
			kinds = append(kinds, k)
			want := slices.Clone(body)
			if k == kindPublish {
				clear(want[len(want)-4:]) // one of them has a time to live
			}
			if back := appendMessage(nil, k, tup); !bytes.Equal(back, want) {
				t.Errorf("%s %s: %x became %x", c.file, c.side, want, back)
			}
		}
		if !slices.Equal(kinds, c.kinds) {
			t.Errorf("%s %s: %v, want %v", c.file, c.side, kinds, c.kinds)
		}
	}
}

func TestCapturedTuple(t *testing.T) {
	_, got, err := parse(captured(t, "gossip_n2_to_hub.hex", "C")[1])
	want := tuple{"75AEF289FF3F404EAED69899A2A7BF5A", "tcp://10.77.2.1:6002"}
	if err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
}

func TestCutMessagesAreMalformed(t *testing.T) {
	for _, c := range captures {
		for _, body := range captured(t, c.file, c.side) {
			for n := range body {
				if _, _, err := parse(body[:n]); !errors.Is(err, errMalformed) {
					t.Errorf("%x: %v", body[:n], err)
				}
			}
		}
	}
}

// publishOf encodes a PUBLISH with any contents.
func publishOf(key, value string) []byte { return appendMessage(nil, kindPublish, tuple{key, value}) }

var malformed = map[string][]byte{
	"nothing":          {},
	"other signature":  {0xaa, 0xa1, 1, 1},
	"other version":    {0xaa, 0xa0, 1, 2},
	"kind 0":           {0xaa, 0xa0, 0, 1},
	"kind 6":           {0xaa, 0xa0, 6, 1},
	"no key":           {0xaa, 0xa0, 2, 1},
	"key of 255 bytes": {0xaa, 0xa0, 2, 1, 255, 'A', 0, 0, 0, 0, 0, 0, 0, 0},
	"value of 4 GiB":   {0xaa, 0xa0, 2, 1, 1, 'A', 255, 255, 255, 255, 0, 0, 0, 0},
	"no time to live":  {0xaa, 0xa0, 2, 1, 1, 'A', 0, 0, 0, 1, 'x', 0, 0, 0},
}

const (
	someKey    = "0123456789ABCDEF0123456789ABCDEF"
	somePublic = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7" // from the manual of libzmq
)

var foreign = map[string][]byte{
	"short key":        publishOf(someKey[1:], "tcp://127.0.0.1:5000"),
	"long key":         publishOf(someKey+"0", "tcp://127.0.0.1:5000"),
	"empty key":        publishOf("", "tcp://127.0.0.1:5000"),
	"key not hex":      publishOf("G"+someKey[1:], "tcp://127.0.0.1:5000"),
	"empty value":      publishOf(someKey, ""),
	"no endpoint":      publishOf(someKey, "hello, world"),
	"other transport":  publishOf(someKey, "udp://127.0.0.1:5000"),
	"no port":          publishOf(someKey, "tcp://127.0.0.1"),
	"port 0":           publishOf(someKey, "tcp://127.0.0.1:0"),
	"port *":           publishOf(someKey, "tcp://127.0.0.1:*"),
	"port 65536":       publishOf(someKey, "tcp://127.0.0.1:65536"),
	"address *":        publishOf(someKey, "tcp://*:5000"),
	"no address":       publishOf(someKey, "tcp://:5000"),
	"NUL":              publishOf(someKey, "tcp://127.0.0.1\x00:5000"),
	"long endpoint":    publishOf(someKey, "tcp://"+strings.Repeat("x", 255)+":5000"),
	"empty public key": publishOf(someKey, "tcp://127.0.0.1:5000|"),
	"short public key": publishOf(someKey, "tcp://127.0.0.1:5000|"+somePublic[1:]),
	"no Z85":           publishOf(someKey, "tcp://127.0.0.1:5000|"+strings.Repeat("~", 40)),
	"two public keys":  publishOf(someKey, "tcp://127.0.0.1:5000|"+somePublic+"|"+somePublic),
}

func TestBadMessages(t *testing.T) {
	for name, b := range malformed {
		if k, tup, err := parse(b); !errors.Is(err, errMalformed) || k != 0 || tup != (tuple{}) {
			t.Errorf("%s: %d, %v, %v", name, k, tup, err)
		}
	}
	for name, b := range foreign {
		if k, tup, err := parse(b); !errors.Is(err, errForeign) || k != 0 || tup != (tuple{}) {
			t.Errorf("%s: %d, %v, %v", name, k, tup, err)
		}
	}
}

func TestGoodTuples(t *testing.T) {
	for _, value := range []string{
		"tcp://127.0.0.1:5000", "tcp://host.example:1", "tcp://::1:65535", "tcp://[fe80::1]:5000",
		"ipc:///run/zyre", "ipc://@zyre", "inproc://zyre",
		"tcp://127.0.0.1:5000|" + somePublic, "ipc:///run/zyre|" + somePublic,
	} {
		for _, key := range []string{someKey, strings.ToLower(someKey)} {
			_, got, err := parse(publishOf(key, value))
			if want := (tuple{someKey, value}); err != nil || got != want {
				t.Errorf("%v, %v, want %v", got, err, want)
			}
		}
	}
}

func TestSplit(t *testing.T) {
	for value, want := range map[string][2]string{
		"tcp://127.0.0.1:5000":     {"tcp://127.0.0.1:5000", ""},
		"tcp://h:1|" + somePublic:  {"tcp://h:1", somePublic},
		"tcp://127.0.0.1:5000|a|b": {"tcp://127.0.0.1:5000", "a|b"},
		"":                         {"", ""},
	} {
		if endpoint, public := Split(value); endpoint != want[0] || public != want[1] {
			t.Errorf("%q: %q, %q", value, endpoint, public)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range captures {
		for _, body := range captured(f, c.file, c.side) {
			f.Add(body)
			f.Add(body[:len(body)-1])
		}
	}
	for _, all := range []map[string][]byte{malformed, foreign} {
		for _, b := range all {
			f.Add(b)
		}
	}
	f.Add(publishOf(strings.ToLower(someKey), "ipc:///run/zyre|"+somePublic))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, tup, err := parse(b)
		if err != nil {
			if k != 0 || tup != (tuple{}) {
				t.Fatalf("%d and %v beside %v", k, tup, err)
			}
			return
		}
		back := appendMessage(nil, k, tup)
		if len(back) > len(b) || !bytes.EqualFold(back[:max(4, len(back)-4)], b[:max(4, len(back)-4)]) {
			t.Fatalf("%x became %x", b, back)
		}
		if k2, tup2, err := parse(back); err != nil || k2 != k || tup2 != tup {
			t.Fatalf("%d %v became %d %v, %v", k, tup, k2, tup2, err)
		}
	})
}
