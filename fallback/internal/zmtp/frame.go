// Package zmtp speaks the part of ZMTP 3.1 (RFC 23 and 37 of ZeroMQ) that a
// ZRE node needs: the greeting, the mechanisms NULL and CURVE (RFC 25 and 26),
// frames, and PING and PONG.
package zmtp

import (
	"encoding/binary"
	"errors"
	"math"
)

// Flags of a frame.
const (
	More    = 0x01 // another frame of the same message follows
	long    = 0x02 // the size has eight bytes
	Command = 0x04

	// Own comes from the reader, not from the wire: the body has a buffer of
	// its own, and can be kept without saying so.
	Own = 0x80
)

// Errors of a peer that does not speak the protocol.
var (
	ErrProtocol = errors.New("zmtp: protocol error")
	ErrTooLarge = errors.New("zmtp: frame is larger than the limit")
)

// MaxHeader is the size of the longest frame header.
const MaxHeader = 9

// AppendHeader appends the header of a frame whose body has size bytes.
func AppendHeader(dst []byte, flags byte, size int) []byte {
	if size <= 255 {
		return append(dst, flags, byte(size))
	}
	dst = append(dst, flags|long)
	return binary.BigEndian.AppendUint64(dst, uint64(size))
}

// AppendFrame appends a whole frame.
func AppendFrame(dst []byte, flags byte, body []byte) []byte {
	return append(AppendHeader(dst, flags, len(body)), body...)
}

// HeaderSize returns the size of the header of a frame of size bytes.
func HeaderSize(size int) int {
	if size <= 255 {
		return 2
	}
	return MaxHeader
}

// ParseHeader reads a frame header at the start of b. ok is false if b is too
// short to tell. A size of 2^31 and above comes back as ErrTooLarge: no frame has
// that, and an int may not.
func ParseHeader(b []byte) (flags byte, header, size int, ok bool, err error) {
	if len(b) < 2 {
		return 0, 0, 0, false, nil
	}
	flags = b[0] & (More | long | Command) // libzmq ignores the others
	if flags&long == 0 {
		return flags, 2, int(b[1]), true, nil
	}
	if len(b) < MaxHeader {
		return 0, 0, 0, false, nil
	}
	n := binary.BigEndian.Uint64(b[1:])
	if n > math.MaxInt32 {
		return 0, 0, 0, false, ErrTooLarge
	}
	return flags &^ long, MaxHeader, int(n), true, nil
}

// AppendCommand appends a command frame.
func AppendCommand(dst []byte, name string, data []byte) []byte {
	dst = AppendHeader(dst, Command, 1+len(name)+len(data))
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	return append(dst, data...)
}

// ParseCommand splits the body of a command frame into its name and data.
func ParseCommand(body []byte) (name, data []byte, err error) {
	if len(body) == 0 || len(body) < 1+int(body[0]) || body[0] == 0 {
		return nil, nil, ErrProtocol
	}
	end := 1 + int(body[0])
	return body[1:end], body[end:], nil
}

// Pong returns the answer to a command if it is a PING, as RFC 37 asks: the
// context of up to 16 bytes comes back. For any other command it returns nil.
func Pong(body []byte) ([]byte, error) {
	name, data, err := ParseCommand(body)
	if err != nil || string(name) != "PING" {
		return nil, err
	}
	if len(data) < 2 {
		return nil, ErrProtocol
	}
	context := data[2:]
	if len(context) > 16 {
		context = context[:16]
	}
	return AppendCommand(nil, "PONG", context), nil
}
