// Package zre encodes and decodes the messages of ZRE version 2 (RFC 36, with
// the elections and GOODBYE of libzyre), and the beacons that announce a node.
//
// A ZRE message is the first frame of a ZMTP message:
//
//	AA A1 | kind (1) | version (1) = 2 | sequence (2) | fields of the kind
//
// Integers are big-endian. Decoding trusts nothing: whatever the bytes, it
// returns a value within the limits of package rule or an error. Encoding
// trusts its caller to have checked names and values with package rule.
package zre

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Kind is the id of a message.
type Kind uint8

// The kinds of message.
const (
	KindHello   Kind = 1
	KindWhisper Kind = 2
	KindShout   Kind = 3
	KindJoin    Kind = 4
	KindLeave   Kind = 5
	KindPing    Kind = 6
	KindPingOK  Kind = 7
	KindElect   Kind = 8
	KindLeader  Kind = 9
	KindGoodbye Kind = 10
)

var kindNames = [...]string{
	KindHello:   "HELLO",
	KindWhisper: "WHISPER",
	KindShout:   "SHOUT",
	KindJoin:    "JOIN",
	KindLeave:   "LEAVE",
	KindPing:    "PING",
	KindPingOK:  "PING-OK",
	KindElect:   "ELECT",
	KindLeader:  "LEADER",
	KindGoodbye: "GOODBYE",
}

func (k Kind) known() bool { return k >= KindHello && k <= KindGoodbye }

// String returns the name that RFC 36 or libzyre gives the kind.
func (k Kind) String() string {
	if !k.known() {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// Layout of what every message begins with.
const (
	HeaderSize = 6 // signature, kind, version, sequence
	SeqOffset  = 4 // of the sequence number, two bytes, big-endian

	signature = 0xAAA1
	version   = 2
)

// The errors of decoding. They are returned as they are, never wrapped.
var (
	// ErrMalformed: a ZRE message that is cut short, or has a field that
	// breaks a limit, contains NUL, or is empty where it must not be.
	ErrMalformed = errors.New("zre: malformed message")

	// ErrForeign: not a message of ZRE version 2 that we know. A receiver
	// ignores it and does not count it in the sequence.
	ErrForeign = errors.New("zre: not a message of this protocol and version")
)

// IsContent tells whether a first frame says that it is a WHISPER or a SHOUT.
func IsContent(frame []byte) bool {
	return len(frame) >= HeaderSize && (Kind(frame[2]) == KindWhisper || Kind(frame[2]) == KindShout)
}

// Whisper is Parse for nearly every message: it returns the sequence number of
// a WHISPER, and false for what Parse must look at.
func Whisper(frame []byte) (seq uint16, ok bool) {
	if len(frame) != HeaderSize || binary.BigEndian.Uint32(frame) != signature<<16|uint32(KindWhisper)<<8|version {
		return 0, false
	}
	return binary.BigEndian.Uint16(frame[SeqOffset:]), true
}

// Message is a decoded first frame. Group and ID are parts of that frame,
// not copies: they are valid as long as its bytes are.
type Message struct {
	Kind   Kind
	Seq    uint16
	Group  []byte // SHOUT, JOIN, LEAVE, ELECT, LEADER: 1 to 255 bytes
	Status uint8  // JOIN, LEAVE
	ID     []byte // ELECT, LEADER: a UUID as 32 hex digits of either case
}

// Parse decodes a first frame; of a HELLO only Kind and Seq, the rest is for
// [ParseHello]. Bytes after the last field are ignored, as libzyre ignores
// them. Parse does not allocate.
func Parse(frame []byte) (Message, error) {
	m, err := parseHeader(frame)
	if err != nil {
		return Message{}, err
	}
	r := reader{rest: frame[HeaderSize:]}
	switch m.Kind {
	case KindShout:
		m.Group = r.str(1)
	case KindJoin, KindLeave:
		m.Group = r.str(1)
		m.Status = r.u8()
	case KindElect, KindLeader:
		m.Group = r.str(1)
		m.ID = r.id()
	}
	if r.bad {
		return Message{}, ErrMalformed
	}
	return m, nil
}

func parseHeader(frame []byte) (Message, error) {
	if len(frame) < HeaderSize {
		return Message{}, ErrMalformed
	}
	kind := Kind(frame[2])
	if binary.BigEndian.Uint16(frame) != signature || !kind.known() || frame[3] != version {
		return Message{}, ErrForeign
	}
	return Message{Kind: kind, Seq: binary.BigEndian.Uint16(frame[SeqOffset:])}, nil
}

// id reads the string form of a UUID. Anything else is refused here, so that
// no election is ever about a node that cannot exist.
func (r *reader) id() []byte {
	const digits = 32
	s := r.str(digits)
	if len(s) != digits {
		r.fail()
		return nil
	}
	for _, c := range s {
		if !isHexDigit(c) {
			r.fail()
			return nil
		}
	}
	return s
}

func isHexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f'
}

// AppendSimple appends a message that has no fields: WHISPER, PING, PING-OK
// or GOODBYE.
func AppendSimple(dst []byte, k Kind, seq uint16) []byte {
	return append(dst, signature>>8, signature&0xFF, byte(k), version, byte(seq>>8), byte(seq))
}

// AppendGroup appends a message whose one field is a group: SHOUT.
func AppendGroup(dst []byte, k Kind, seq uint16, group string) []byte {
	return appendString(AppendSimple(dst, k, seq), group)
}

// AppendMember appends JOIN or LEAVE. The status is the sender's after the
// change: libzyre aborts on any other, so it must be right.
func AppendMember(dst []byte, k Kind, seq uint16, group string, status uint8) []byte {
	return append(AppendGroup(dst, k, seq, group), status)
}

// AppendVote appends ELECT or LEADER. The id is a UUID as 32 upper-case hex
// digits: libzyre compares the text.
func AppendVote(dst []byte, k Kind, seq uint16, group, id string) []byte {
	return appendString(AppendGroup(dst, k, seq, group), id)
}
