package zre

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ZMTP frame flags (RFC 37).
const (
	flagMore    = 1
	flagLong    = 2
	flagCommand = 4
)

// record is one line of a file in testdata: a word and bytes.
type record struct {
	word string
	data []byte
}

func readCapture(tb testing.TB, file string) []record {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	var records []record
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		word, digits, _ := strings.Cut(line, " ")
		records = append(records, record{word, unhex(tb, digits)})
	}
	if len(records) == 0 {
		tb.Fatalf("%s has no records", file)
	}
	return records
}

// stream joins what one side of a captured connection sent.
func stream(tb testing.TB, file, side string) []byte {
	tb.Helper()
	var all []byte
	for _, r := range readCapture(tb, file) {
		if r.word == side {
			all = append(all, r.data...)
		}
	}
	return all
}

// messages cuts a ZMTP stream into its messages: the greeting and command
// frames are passed over, and nothing may be left at the end.
func messages(tb testing.TB, stream []byte) [][][]byte {
	tb.Helper()
	const greeting = 64
	if len(stream) < greeting || stream[0] != 0xFF {
		tb.Fatal("stream does not start with a greeting")
	}
	var all [][][]byte
	var current [][]byte
	for rest := stream[greeting:]; len(rest) > 0; {
		flags, body, after := cutFrame(tb, rest)
		rest = after
		if flags&flagCommand != 0 {
			continue
		}
		current = append(current, body)
		if flags&flagMore == 0 {
			all = append(all, current)
			current = nil
		}
	}
	if current != nil {
		tb.Fatal("stream ends inside a message")
	}
	return all
}

func cutFrame(tb testing.TB, b []byte) (flags byte, body, rest []byte) {
	tb.Helper()
	head, size := 2, 0
	switch {
	case len(b) >= 9 && b[0]&flagLong != 0:
		head, size = 9, int(binary.BigEndian.Uint64(b[1:]))
	case len(b) >= 2:
		size = int(b[1])
	}
	if len(b) < head || len(b)-head < size {
		tb.Fatal("stream ends inside a frame")
	}
	return b[0], b[head : head+size], b[head+size:]
}

// firstFrames returns the first frame of every ZRE message in testdata.
func firstFrames(tb testing.TB) [][]byte {
	tb.Helper()
	var frames [][]byte
	for _, c := range zreCaptures {
		for _, message := range messages(tb, stream(tb, c.file, "C")) {
			frames = append(frames, message[0])
		}
	}
	return frames
}

func unhex(tb testing.TB, digits string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
