package zre

import (
	"bytes"
	"encoding/binary"

	"github.com/gozyre/zyre/internal/rule"
)

// reader takes fields off the front of a frame. The first field that is cut
// short or breaks a limit makes it bad and leaves nothing to read, so that
// callers read all their fields in a row and look at bad once, at the end.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() { r.rest, r.bad = nil, true }

// take returns the next n bytes, with no spare capacity: a caller that appends
// to a field must not write over the field after it.
func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	field := r.rest[:n:n]
	r.rest = r.rest[n:]
	return field
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// str reads a string: one byte of length, then the text.
func (r *reader) str(least uint32) []byte {
	return r.text(uint32(r.u8()), least, rule.MaxString)
}

// longstr reads a longstr: four bytes of length, then the text.
func (r *reader) longstr(least, most uint32) []byte {
	return r.text(r.u32(), least, most)
}

// text reads n bytes, of which none may be NUL: C peers cut a string there,
// and would know the group or header by another name than we do.
func (r *reader) text(n, least, most uint32) []byte {
	if n < least || n > most {
		r.fail()
		return nil
	}
	s := r.take(n)
	if bytes.IndexByte(s, 0) >= 0 {
		r.fail()
		return nil
	}
	return s
}

// count reads the number of elements of a list. It is refused if there are
// more than most, or more than the remaining bytes can hold at size bytes or
// more each: callers allocate by it.
func (r *reader) count(most, size uint32) uint32 {
	n := r.u32()
	if n > most || uint64(n)*uint64(size) > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return n
}

// appendString appends a string, cut to the 255 bytes that its length byte
// can tell, as libzyre does: a length that wrapped would corrupt all that
// follows it.
func appendString(dst []byte, s string) []byte {
	s = s[:min(len(s), rule.MaxString)]
	return append(append(dst, byte(len(s))), s...)
}

func stringSize(s string) int { return 1 + min(len(s), rule.MaxString) }

func appendLongstr(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(s))), s...)
}

func longstrSize(s string) int { return 4 + len(s) }
