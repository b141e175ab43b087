package hostile

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Flags of a ZMTP frame.
const (
	More    = 0x01
	Long    = 0x02
	Command = 0x04
)

// Kinds of ZRE message.
const (
	KindHello = iota + 1
	KindWhisper
	KindShout
	KindJoin
	KindLeave
	KindPing
	KindPingOK
	KindElect
	KindLeader
	KindGoodbye
)

// Greeting returns the 64 bytes that open a connection of ZMTP 3.
func Greeting(minor byte, mechanism string) []byte {
	g := make([]byte, 64)
	g[0], g[8], g[9], g[10], g[11] = 0xff, 1, 0x7f, 3, minor
	copy(g[12:32], mechanism)
	return g
}

// Frame returns a frame whose size is written as it should be.
func Frame(flags byte, body []byte) []byte {
	if len(body) > 255 {
		return append(Header(flags, uint64(len(body))), body...)
	}
	return append([]byte{flags, byte(len(body))}, body...)
}

// Header returns the header of a frame with a size of eight bytes.
func Header(flags byte, size uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{flags | Long}, size)
}

// Cmd returns a command frame.
func Cmd(name string, data []byte) []byte {
	body := append([]byte{byte(len(name))}, name...)
	return Frame(Command, append(body, data...))
}

// Property returns a property of READY.
func Property(name string, value []byte) []byte {
	p := append([]byte{byte(len(name))}, name...)
	p = binary.BigEndian.AppendUint32(p, uint32(len(value)))
	return append(p, value...)
}

// Ready returns the READY command of a socket.
func Ready(socket string, identity []byte) []byte {
	return Cmd("READY", append(Property("Socket-Type", []byte(socket)), Property("Identity", identity)...))
}

// Identity returns that of a ZRE node.
func Identity(id UUID) []byte { return append([]byte{1}, id[:]...) }

// Plain returns the frame of a message of ZRE without fields.
func Plain(kind byte, seq uint16) []byte {
	return []byte{0xaa, 0xa1, kind, 2, byte(seq >> 8), byte(seq)}
}

// Named returns a message whose first field is a group, with what follows it.
func Named(kind byte, seq uint16, group string, rest ...byte) []byte {
	m := append(Plain(kind, seq), byte(len(group)))
	return append(append(m, group...), rest...)
}

// Vote returns an ELECT or a LEADER.
func Vote(kind byte, seq uint16, group, id string) []byte {
	return Named(kind, seq, group, append([]byte{byte(len(id))}, id...)...)
}

// Hello is what a HELLO says, right or wrong.
type Hello struct {
	Endpoint string
	Groups   []string
	Status   byte
	Name     string
	Headers  [][2]string
}

// Bytes returns the message.
func (h *Hello) Bytes(seq uint16) []byte {
	m := Named(KindHello, seq, h.Endpoint)
	m = binary.BigEndian.AppendUint32(m, uint32(len(h.Groups)))
	for _, g := range h.Groups {
		m = binary.BigEndian.AppendUint32(m, uint32(len(g)))
		m = append(m, g...)
	}
	m = append(m, h.Status, byte(len(h.Name)))
	m = append(m, h.Name...)
	m = binary.BigEndian.AppendUint32(m, uint32(len(h.Headers)))
	for _, kv := range h.Headers {
		m = append(append(m, byte(len(kv[0]))), kv[0]...)
		m = binary.BigEndian.AppendUint32(m, uint32(len(kv[1])))
		m = append(m, kv[1]...)
	}
	return m
}

// HelloAt returns the HELLO of a node with nothing to say but where it is.
func HelloAt(at netip.AddrPort, groups ...string) *Hello {
	return &Hello{Endpoint: fmt.Sprintf("tcp://%v", at), Groups: groups, Status: byte(len(groups)), Name: "mallory"}
}

// Beacon returns the datagram of version 1.
func Beacon(id UUID, port uint16) []byte {
	b := append([]byte("ZRE\x01"), id[:]...)
	return binary.BigEndian.AppendUint16(b, port)
}

// KeyBeacon returns the datagram of version 3.
func KeyBeacon(id UUID, port uint16, key [32]byte) []byte {
	b := Beacon(id, port)
	b[3] = 3
	return append(b, key[:]...)
}
