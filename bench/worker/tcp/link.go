package main

import (
	"bufio"
	"io"
	"net"
)

const (
	bufferSize = 64 << 10 // through which small records go
	largeBody  = 64 << 10 // from here on each record is written and read alone
)

// link is a connection that carries records of a fixed size each way, each
// as large as a ZRE whisper is on the wire.
type link struct {
	conn   net.Conn
	header []byte // of a record sent
	large  net.Buffers

	out     *bufio.Writer
	in      *bufio.Reader
	inWhole []byte // a large record
	inSize  int    // of a record received
	inBody  int    // where its body begins
	used    int    // of what was peeked at before
}

func newLink(conn net.Conn, send, recv int) *link {
	l := &link{
		conn:   conn,
		header: make([]byte, overhead(send)),
		out:    bufio.NewWriterSize(conn, bufferSize),
		in:     bufio.NewReaderSize(conn, bufferSize),
		inBody: overhead(recv),
		inSize: overhead(recv) + recv,
	}
	if recv >= largeBody {
		l.inWhole = make([]byte, l.inSize)
	}
	return l
}

// overhead is what ZMTP and ZRE add to a body in a whisper: a frame of two
// bytes of ZMTP and six of ZRE, and the header of the frame with the body.
func overhead(body int) int {
	const whisper, short, long = 2 + 6, 2, 9
	if body < 256 {
		return whisper + short
	}
	return whisper + long
}

func (l *link) send(body []byte) error {
	if len(body) >= largeBody {
		l.large = append(l.large[:0], l.header, body)
		rest := l.large
		_, err := rest.WriteTo(l.conn)
		return err
	}
	if _, err := l.out.Write(l.header); err != nil {
		return err
	}
	_, err := l.out.Write(body)
	return err
}

func (l *link) flush() error {
	if l.out.Buffered() == 0 {
		return nil
	}
	return l.out.Flush()
}

// recv returns the body of the next record, in the buffer.
func (l *link) recv() ([]byte, error) {
	if l.inWhole != nil {
		_, err := io.ReadFull(l.conn, l.inWhole)
		return l.inWhole[l.inBody:], err
	}
	if _, err := l.in.Discard(l.used); err != nil {
		return nil, err
	}
	record, err := l.in.Peek(l.inSize)
	l.used = len(record)
	if err != nil {
		return nil, err
	}
	return record[l.inBody:], nil
}
