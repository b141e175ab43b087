//go:build linux

package zmq

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// TestZMTP30 is a stranger of plain TCP that speaks ZMTP 3.0 (RFC 23), which
// libzmq 4.0 and other stacks do, and to which no PING of ZMTP may be sent.
func TestZMTP30(t *testing.T) {
	node, addr := newNode(t)
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var id lab.UUID
	_, _ = rand.Read(id[:]) // never fails

	out := dial30(t, addr)
	out.handshake("DEALER", "\x01"+string(id[:]))
	out.write(false, append(header(kindHello, 1), helloFields("tcp://"+ln.Addr().String(), "old", 0, nil)...))
	if ev := node.Next(t, id, fallback.Enter); ev.Name != "old" {
		t.Errorf("Enter: %+v", ev)
	}

	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	in := newConn30(t, accepted)
	identity := in.handshake("ROUTER", "")
	if our := node.UUID(); identity != "\x01"+string(our[:]) {
		t.Errorf("identity %x", identity)
	}
	in.expect(header(kindHello, 1), false)

	out.write(true, header(kindWhisper, 2))
	out.write(false, []byte("hello"))
	if ev := node.Next(t, id, fallback.Whisper); !equal(ev.Msg, "hello") {
		t.Errorf("Whisper: %q", ev.Msg)
	}
	node.Must(node.Whisper(id, []byte("hello"), bytes.Repeat([]byte("x"), 300)))
	in.expect(header(kindWhisper, 2), true)
	in.expect([]byte("hello"), true)
	in.expect(bytes.Repeat([]byte("x"), 300), false)
}

// conn30 is a connection of ZMTP 3.0.
type conn30 struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

// The flags of a frame.
const (
	flagMore    = 1
	flagLong    = 2
	flagCommand = 4
)

func dial30(t *testing.T, addr string) *conn30 {
	t.Helper()
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newConn30(t, c)
}

func newConn30(t *testing.T, c net.Conn) *conn30 {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	conn := &conn30{t: t, Conn: c, in: bufio.NewReader(c)}
	conn.must(c.SetDeadline(time.Now().Add(patience)))
	return conn
}

// handshake greets as version 3.0, and returns the peer's identity.
func (c *conn30) handshake(socketType, identity string) string {
	c.t.Helper()
	greeting := make([]byte, 64)
	copy(greeting, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL")
	c.send(greeting)
	theirs := make([]byte, 64)
	_, err := io.ReadFull(c.in, theirs)
	c.must(err)
	if theirs[0] != 0xff || theirs[9]&1 == 0 || theirs[10] < 3 || !bytes.Equal(theirs[12:32], greeting[12:32]) {
		c.t.Fatalf("greeting %x", theirs)
	}
	ready := slices.Concat([]byte("\x05READY"), property("Socket-Type", socketType), property("Identity", identity))
	c.send(append([]byte{flagCommand, byte(len(ready))}, ready...))
	flags, body := c.frame()
	if flags&flagCommand == 0 || !bytes.HasPrefix(body, []byte("\x05READY")) {
		c.t.Fatalf("not READY: %#x %q", flags, body)
	}
	return propertyOf(body[6:], "Identity")
}

func (c *conn30) write(more bool, body []byte) {
	c.t.Helper()
	flags := byte(0)
	if more {
		flags = flagMore
	}
	c.send(append([]byte{flags, byte(len(body))}, body...))
}

// expect reads a frame that begins like that, and a frame of data or all of it.
func (c *conn30) expect(begin []byte, more bool) {
	c.t.Helper()
	flags, body := c.frame()
	if !bytes.HasPrefix(body, begin) || flags&flagMore != 0 != more || flags&flagCommand != 0 {
		c.t.Fatalf("frame with flags %#x: %.40q; want %.40q, more %v", flags, body, begin, more)
	}
}

func (c *conn30) frame() (flags byte, body []byte) {
	c.t.Helper()
	flags, err := c.in.ReadByte()
	c.must(err)
	size := make([]byte, 8)
	if flags&flagLong == 0 {
		_, err = io.ReadFull(c.in, size[7:])
	} else {
		_, err = io.ReadFull(c.in, size)
	}
	c.must(err)
	body = make([]byte, binary.BigEndian.Uint64(size))
	_, err = io.ReadFull(c.in, body)
	c.must(err)
	return flags, body
}

func (c *conn30) send(b []byte) {
	c.t.Helper()
	_, err := c.Write(b)
	c.must(err)
}

func (c *conn30) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func property(name, value string) []byte {
	b := append(str(name), 0, 0, 0, byte(len(value)))
	return append(b, value...)
}

// propertyOf returns the value of a property in the list of READY.
func propertyOf(list []byte, name string) string {
	for len(list) > 0 {
		n := int(list[0])
		size := int(binary.BigEndian.Uint32(list[1+n:]))
		value := list[5+n : 5+n+size]
		if string(list[1:1+n]) == name {
			return string(value)
		}
		list = list[5+n+size:]
	}
	return ""
}
