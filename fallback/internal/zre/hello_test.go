package zre

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/gozyre/zyre/internal/rule"
)

// fullHello has more than one of everything.
func fullHello() Hello {
	return Hello{
		Endpoint: "tcp://127.0.0.1:49152",
		Groups:   []string{"zulu", "alpha", "\xff\x01"},
		Status:   200,
		Name:     "näme",
		Headers:  map[string]string{"X-B": "", "X-A": "one", "X-C": strings.Repeat("v", 300)},
	}
}

// helloFrame builds a HELLO of raw parts, so that they can be wrong.
func helloFrame(groups, headers []byte) []byte {
	frame := AppendSimple(nil, KindHello, 1)
	frame = appendString(frame, "tcp://127.0.0.1:1")
	frame = append(frame, groups...)
	frame = append(frame, 0)
	frame = appendString(frame, "n")
	return append(frame, headers...)
}

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// groupList and headerList encode lists; headers alternate name and value.
func groupList(groups ...string) []byte {
	b := u32(uint32(len(groups)))
	for _, group := range groups {
		b = appendLongstr(b, group)
	}
	return b
}

func headerList(headers ...string) []byte {
	b := u32(uint32(len(headers) / 2))
	for i := 0; i < len(headers); i += 2 {
		b = appendLongstr(appendString(b, headers[i]), headers[i+1])
	}
	return b
}

func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("g%d", i)
	}
	return names
}

func numberedHeaders(n int) map[string]string {
	headers := make(map[string]string, n)
	for _, name := range numbered(n) {
		headers[name] = name
	}
	return headers
}

func TestHelloRoundTrip(t *testing.T) {
	longest := strings.Repeat("x", 255)
	for name, want := range map[string]Hello{
		"empty": {},
		"full":  fullHello(),
		"longest strings": {
			Endpoint: longest, Groups: []string{longest}, Status: 255, Name: longest,
			Headers: map[string]string{longest: strings.Repeat("v", rule.MaxHeaderValue)},
		},
		"most groups":  {Groups: numbered(MaxGroups)},
		"most headers": {Headers: numberedHeaders(rule.MaxHeaders)},
	} {
		frame := AppendHello([]byte("before"), 7, &want)
		frame = bytes.TrimPrefix(frame, []byte("before"))
		if len(frame) != HelloSize(&want) {
			t.Errorf("%s: %d bytes, HelloSize says %d", name, len(frame), HelloSize(&want))
		}
		if m, err := Parse(frame); err != nil || m.Kind != KindHello || m.Seq != 7 {
			t.Errorf("%s: Parse: %+v, %v", name, m, err)
		}
		if got, err := ParseHello(frame); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestHelloHeadersAreSorted(t *testing.T) {
	h := Hello{Headers: numberedHeaders(100)} // more than fit without allocation
	h.Headers["A"], h.Headers["z"] = "first", "last"
	want := AppendHello(nil, 1, &h)
	for range 10 { // a map's order differs from range to range
		if got := AppendHello(nil, 1, &h); !bytes.Equal(got, want) {
			t.Fatal("two encodings differ")
		}
	}
	if first := bytes.Index(want, []byte("\x01A\x00\x00\x00\x05first")); first != len(AppendHello(nil, 1, &Hello{})) {
		t.Errorf("header A at offset %d is not the first", first)
	}
	if !bytes.HasSuffix(want, []byte("\x01z\x00\x00\x00\x04last")) {
		t.Error("header z is not the last")
	}
}

func TestHelloRepeatsCountOnce(t *testing.T) {
	frame := helloFrame(groupList("a", "b", "a", "c", "b"), headerList("k", "first", "l", "", "k", "second", "l", "x"))
	h, err := ParseHello(frame)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "c"}; !reflect.DeepEqual(h.Groups, want) {
		t.Errorf("groups %q, want %q", h.Groups, want)
	}
	if want := map[string]string{"k": "first", "l": ""}; !maps.Equal(h.Headers, want) {
		t.Errorf("headers %q, want %q", h.Headers, want)
	}
}

func TestHelloSharesNothingWithTheFrame(t *testing.T) {
	want := fullHello()
	frame := AppendHello(nil, 1, &want)
	got, err := ParseHello(frame)
	if err != nil {
		t.Fatal(err)
	}
	clear(frame)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("changed with the frame: %+v", got)
	}
}

func TestHelloIgnoresTrailingBytes(t *testing.T) {
	want := fullHello()
	got, err := ParseHello(append(AppendHello(nil, 1, &want), "more"...))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestHelloCutsWhatHasNoLength(t *testing.T) {
	long := strings.Repeat("x", 300)
	h := Hello{Endpoint: long, Name: long, Headers: map[string]string{long: "v"}}
	frame := AppendHello(nil, 1, &h)
	if len(frame) != HelloSize(&h) {
		t.Errorf("%d bytes, HelloSize says %d", len(frame), HelloSize(&h))
	}
	cut := long[:255]
	want := Hello{Endpoint: cut, Name: cut, Headers: map[string]string{cut: "v"}}
	if got, err := ParseHello(frame); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestParseHelloRefuses(t *testing.T) {
	none := u32(0)
	notHello := AppendHello(nil, 1, &Hello{})
	notHello[2] = byte(KindPing)
	for name, frame := range map[string][]byte{
		"empty group":                  helloFrame(groupList("a", ""), none),
		"group of 256 bytes":           helloFrame(groupList(strings.Repeat("g", 256)), none),
		"group with NUL":               helloFrame(groupList("a\x00b"), none),
		"too many groups":              helloFrame(groupList(numbered(MaxGroups+1)...), none),
		"2^32-1 groups":                helloFrame(u32(1<<32-1), none),
		"one group more than there is": helloFrame(append(u32(2), groupList("a")[4:]...), nil),
		"group of 2^32-1 bytes":        helloFrame(append(u32(1), 0xFF, 0xFF, 0xFF, 0xFF), none),
		"empty header name":            helloFrame(none, headerList("", "v")),
		"header name with NUL":         helloFrame(none, headerList("a\x00", "v")),
		"header value with NUL":        helloFrame(none, headerList("a", "v\x00w")),
		"header value too long":        helloFrame(none, headerList("a", strings.Repeat("v", rule.MaxHeaderValue+1))),
		"too many headers":             helloFrame(none, headerList(numbered(2*(rule.MaxHeaders+1))...)),
		"2^32-1 headers":               helloFrame(none, u32(1<<32-1)),
		"one header more than sent":    helloFrame(none, append(u32(2), headerList("a", "v")[4:]...)),
		"repeated header is bad":       helloFrame(none, headerList("a", "v", "a", "\x00")),
		"no group list":                AppendSimple(nil, KindHello, 1),
		"endpoint with NUL":            AppendHello(nil, 1, &Hello{Endpoint: "tcp://1\x00"}),
		"name with NUL":                AppendHello(nil, 1, &Hello{Name: "\x00"}),
		"not a HELLO":                  notHello,
		"no bytes":                     nil,
	} {
		h, err := ParseHello(frame)
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error %v, want ErrMalformed", name, err)
		}
		if !reflect.DeepEqual(h, Hello{}) {
			t.Errorf("%s: %+v beside an error", name, h)
		}
	}
	if _, err := ParseHello(unhex(t, "aaa1 01 03 0001 00 00000000 00 00 00000000")); !errors.Is(err, ErrForeign) {
		t.Errorf("version 3: error %v, want ErrForeign", err)
	}
}

func TestParseHelloRefusesEveryTruncation(t *testing.T) {
	full := fullHello()
	for _, frame := range append(firstFrames(t), AppendHello(nil, 1, &full)) {
		if Kind(frame[2]) != KindHello {
			continue
		}
		for n := range frame {
			if h, err := ParseHello(frame[:n:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("cut to %d of %d bytes: %+v, %v", n, len(frame), h, err)
			}
		}
	}
}

// Whatever a frame claims, the memory that decoding takes is in proportion to
// the bytes that really came.
func TestParseHelloAllocatesByWhatArrived(t *testing.T) {
	const perByte, fixed = 32, 4 << 10
	zeros := make([]byte, 1<<10)
	claims := [][]byte{u32(1), u32(100), u32(rule.MaxHeaders), u32(MaxGroups), u32(1 << 16), u32(1<<32 - 1)}
	for _, claim := range claims {
		for _, frame := range [][]byte{
			helloFrame(claim, nil),
			helloFrame(claim, zeros),
			helloFrame(u32(0), claim),
			helloFrame(u32(0), append(bytes.Clone(claim), zeros...)),
			helloFrame(append(u32(1), claim...), zeros),
			helloFrame(u32(0), append(append(u32(1), 1, 'k'), claim...)),
		} {
			if got, most := bytesAllocated(func() { ParseHello(frame) }), uint64(fixed+perByte*len(frame)); got > most {
				t.Errorf("claim %x in a frame of %d bytes: %d bytes allocated, want at most %d", claim, len(frame), got, most)
			}
		}
	}
}

// bytesAllocated returns the least of several runs: another goroutine of the
// test process can only add to a run.
func bytesAllocated(f func()) uint64 {
	least := uint64(1 << 63)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

func TestAppendHelloAllocatesOnlyItsBuffer(t *testing.T) {
	h := Hello{Endpoint: "tcp://127.0.0.1:1", Groups: numbered(100), Name: "n", Headers: numberedHeaders(32)}
	buf := make([]byte, 0, HelloSize(&h))
	if n := testing.AllocsPerRun(100, func() { AppendHello(buf, 1, &h) }); n != 0 {
		t.Errorf("with capacity: %v allocations", n)
	}
	// Growing once is one allocation, two under the race detector; growing by
	// and by would be six or more.
	var grown []byte
	if n := testing.AllocsPerRun(100, func() { grown = AppendHello(nil, 1, &h) }); n > 2 {
		t.Errorf("without capacity: %v allocations for %d bytes", n, len(grown))
	}
}
