package zre

import (
	"bytes"
	"strings"
	"testing"
)

func TestCapturedBeaconsRoundTrip(t *testing.T) {
	for _, r := range readCapture(t, "beacons.hex") {
		b, ok := ParseBeacon(r.data)
		if !ok {
			t.Errorf("%s % x: refused", r.word, r.data)
			continue
		}
		if keyed := strings.HasPrefix(r.word, "v3"); b.HasKey != keyed {
			t.Errorf("%s: HasKey %v", r.word, b.HasKey)
		}
		if goodbye := strings.HasSuffix(r.word, "goodbye"); (b.Port == 0) != goodbye {
			t.Errorf("%s: port %d", r.word, b.Port)
		}
		if got := b.Append([]byte("before")); string(got) != "before"+string(r.data) {
			t.Errorf("%s: % x, want % x", r.word, got, r.data)
		}
	}
}

func TestParseBeaconFields(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	datagram := append([]byte("ZRE\x030123456789abcdef\xC0\x01"), key...)
	want := Beacon{UUID: [16]byte([]byte("0123456789abcdef")), Port: 49153, Key: [32]byte(key), HasKey: true}
	if got, ok := ParseBeacon(datagram); !ok || got != want {
		t.Errorf("%+v, %v, want %+v", got, ok, want)
	}
	clear(datagram[:3])
	if _, ok := ParseBeacon(datagram); ok {
		t.Error("accepted without its prefix")
	}
}

// libzyre asks of version 1 only that its length is one of the two.
func TestParseBeaconIgnoresTailOfVersion1(t *testing.T) {
	datagram := beaconOf(1, BeaconSize)
	want, ok := ParseBeacon(datagram)
	if !ok {
		t.Fatal("refused")
	}
	got, ok := ParseBeacon(append(datagram, bytes.Repeat([]byte{9}, 32)...))
	if !ok || got != want || got.HasKey {
		t.Errorf("%+v, %v, want %+v", got, ok, want)
	}
}

// A real key may start with zero, which libzyre takes for no key at all.
func TestParseBeaconAcceptsKeyThatStartsWithZero(t *testing.T) {
	datagram := beaconOf(3, BeaconKeySize)
	clear(datagram[BeaconSize : BeaconKeySize-1])
	if b, ok := ParseBeacon(datagram); !ok || !b.HasKey || b.Key[31] == 0 {
		t.Errorf("%+v, %v", b, ok)
	}
}

// beaconOf returns size bytes that look like a beacon of a version.
func beaconOf(version byte, size int) []byte {
	b := bytes.Repeat([]byte{0x5A}, max(size, BeaconKeySize))
	copy(b, "ZRE")
	b[3] = version
	return b[:size]
}

func TestParseBeaconRefuses(t *testing.T) {
	noKey := beaconOf(3, BeaconKeySize)
	clear(noKey[BeaconSize:])
	wrongCase := beaconOf(1, BeaconSize)
	copy(wrongCase, "zre")
	for name, datagram := range map[string][]byte{
		"empty":                      nil,
		"version 0":                  beaconOf(0, BeaconSize),
		"version 2, short":           beaconOf(2, BeaconSize),
		"version 2, long":            beaconOf(2, BeaconKeySize),
		"version 4, long":            beaconOf(4, BeaconKeySize),
		"version 3 without key":      beaconOf(3, BeaconSize),
		"version 3, key of zeros":    noKey,
		"prefix in lower case":       wrongCase,
		"256 bytes":                  beaconOf(1, 256),
		"as long as a datagram gets": beaconOf(1, 65507),
	} {
		if b, ok := ParseBeacon(datagram); ok || b != (Beacon{}) {
			t.Errorf("%s: %+v, %v", name, b, ok)
		}
	}
}

func TestParseBeaconRefusesEveryOtherLength(t *testing.T) {
	for _, version := range []byte{1, 3} {
		for size := range 2 * BeaconKeySize {
			want := size == BeaconKeySize || size == BeaconSize && version == 1
			if _, ok := ParseBeacon(beaconOf(version, size)); ok != want {
				t.Errorf("version %d, %d bytes: %v, want %v", version, size, ok, want)
			}
		}
	}
}

func TestBeaconsDoNotAllocate(t *testing.T) {
	datagram := beaconOf(3, BeaconKeySize)
	buf := make([]byte, 0, BeaconKeySize)
	n := testing.AllocsPerRun(100, func() {
		b, ok := ParseBeacon(datagram)
		if !ok || !bytes.Equal(b.Append(buf), datagram) {
			t.Error("no round trip")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
