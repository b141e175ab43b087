package zre

import (
	"encoding/binary"
	"slices"

	"github.com/gozyre/zyre/internal/rule"
)

// MaxGroups is how many groups a HELLO may name.
const MaxGroups = 4096

// The fewest bytes that an element of a list in HELLO takes on the wire:
// neither a group nor the name of a header may be empty.
const (
	minGroupSize  = 4 + 1
	minHeaderSize = 1 + 1 + 4
)

// Hello is what a HELLO says about its sender.
type Hello struct {
	Endpoint string            // where the sender listens; not checked to be an address, may be empty
	Groups   []string          // each once, in the order of the message; nil: none
	Status   uint8             // count of the sender's joins and leaves so far
	Name     string            // may be empty
	Headers  map[string]string // nil: none
}

// ParseHello decodes a HELLO frame. Its result shares no memory with the
// frame. A list that claims more elements than its bytes can hold is refused
// before memory is set aside for it. Of a header that is repeated the first
// counts, as in libzyre.
func ParseHello(frame []byte) (Hello, error) {
	m, err := parseHeader(frame)
	if err != nil {
		return Hello{}, err
	}
	if m.Kind != KindHello {
		return Hello{}, ErrMalformed
	}
	var h Hello
	r := reader{rest: frame[HeaderSize:]}
	h.Endpoint = string(r.str(0))
	h.Groups = r.groups()
	h.Status = r.u8()
	h.Name = string(r.str(0))
	h.Headers = r.headers()
	if r.bad {
		return Hello{}, ErrMalformed
	}
	return h, nil
}

func (r *reader) groups() []string {
	n := r.count(MaxGroups, minGroupSize)
	if n == 0 {
		return nil
	}
	groups := make([]string, 0, n)
	seen := make(map[string]struct{}) // comparing all pairs would be 8 million comparisons at a stranger's wish
	for range n {
		group := r.longstr(1, rule.MaxString)
		if r.bad {
			return nil
		}
		if _, repeated := seen[string(group)]; repeated {
			continue
		}
		name := string(group)
		seen[name] = struct{}{}
		groups = append(groups, name)
	}
	return groups
}

func (r *reader) headers() map[string]string {
	n := r.count(rule.MaxHeaders, minHeaderSize)
	if n == 0 {
		return nil
	}
	headers := make(map[string]string, n)
	for range n {
		name := r.str(1)
		value := r.longstr(0, rule.MaxHeaderValue)
		if r.bad {
			return nil
		}
		if _, repeated := headers[string(name)]; !repeated {
			headers[string(name)] = string(value)
		}
	}
	return headers
}

// AppendHello appends a HELLO. Headers go out sorted by name, so that the
// same Hello always gives the same bytes; their order has no meaning.
func AppendHello(dst []byte, seq uint16, h *Hello) []byte {
	dst = slices.Grow(dst, HelloSize(h))
	dst = AppendSimple(dst, KindHello, seq)
	dst = appendString(dst, h.Endpoint)
	dst = appendGroups(dst, h.Groups)
	dst = append(dst, h.Status)
	dst = appendString(dst, h.Name)
	return appendHeaders(dst, h.Headers)
}

func appendGroups(dst []byte, groups []string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(groups)))
	for _, group := range groups {
		dst = appendLongstr(dst, group)
	}
	return dst
}

func appendHeaders(dst []byte, headers map[string]string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(headers)))
	var few [32]string // on the stack: only a node with more headers pays for sorting them
	names := few[:0]
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		dst = appendString(dst, name)
		dst = appendLongstr(dst, headers[name])
	}
	return dst
}

// HelloSize returns the number of bytes that [AppendHello] appends.
func HelloSize(h *Hello) int {
	size := HeaderSize + stringSize(h.Endpoint) + 4 + 1 + stringSize(h.Name) + 4
	for _, group := range h.Groups {
		size += longstrSize(group)
	}
	for name, value := range h.Headers {
		size += stringSize(name) + longstrSize(value)
	}
	return size
}
