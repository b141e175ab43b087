package zmtp

import (
	"io"

	"github.com/gozyre/zyre/internal/buffer"
)

const (
	minChunk = 512       // what an idle connection holds
	maxChunk = 128 << 10 // what a busy one reads at a time
	ownFrame = 8 << 10   // from this size on a frame has a buffer of its own
	maxAhead = 256 << 10 // allocated at most before the bytes are there

	// afterOwn is read behind such a frame, to see whether the next is one
	// too: what is read of it into buf must be copied.
	afterOwn = 256
)

// Reader cuts frames out of large reads. Bodies alias its buffer, which is
// never written again once Keep was called for it, so that they can be handed
// on without a copy. It is used by one goroutine.
type Reader struct {
	src   io.Reader
	buf   []byte
	r, w  int  // buf[r:w] is unread
	kept  bool // somebody keeps a part of buf[:r]
	brief bool // the next read should be short
	full  bool // the last read filled the buffer: there is more to come
	limit int  // largest frame, as Next returns it

	thrift int // see SetThrift

	opener *opener // with CURVE, once the handshake is done

	// A frame with a buffer of its own, while it is read.
	own      []byte
	ownSize  int
	ownFlags byte
}

// NewReader returns a reader of frames up to limit bytes.
func NewReader(src io.Reader, limit int) *Reader {
	return &Reader{src: src, limit: limit}
}

// SetLimit changes the size of the largest frame.
func (r *Reader) SetLimit(limit int) { r.limit = limit }

// SetThrift makes the reader sparing with memory, at the cost of speed: for a
// large frame it allocates so much before the bytes are there, and twice as
// much each time that they are. 0 ends that.
func (r *Reader) SetThrift(ahead int) { r.thrift = ahead }

// Held returns how much room the reader has for what is not whole yet, with
// what the next Fill needs for a large frame.
func (r *Reader) Held() int {
	_, room := r.Partial()
	return cap(r.buf) + room
}

// Partial returns how many bytes of a large frame are there that is not whole
// yet, and how much room it takes, with what the next Fill needs.
func (r *Reader) Partial() (there, room int) {
	if r.own == nil {
		return 0, 0
	}
	return len(r.own), r.grown()
}

// grown is the size of the buffer of a large frame once it holds more than now.
func (r *Reader) grown() int {
	if len(r.own) < cap(r.own) {
		return cap(r.own)
	}
	if r.thrift > 0 {
		return min(r.ownSize, 2*len(r.own))
	}
	return min(r.ownSize, 4*len(r.own))
}

// Keep tells the reader that frames it returned are in use for good.
func (r *Reader) Keep() { r.kept = true }

// Next returns the next frame that has arrived whole. ok is false if there is
// none, and Fill must be called. The body is valid until Fill, or for good
// after Keep. With CURVE it is the opened frame, in place of the sealed one.
func (r *Reader) Next() (flags byte, body []byte, ok bool, err error) {
	if b := r.buf[r.r:r.w]; len(b) >= 2 && b[0]&^More == 0 && r.own == nil && r.opener == nil {
		// Nearly every frame of a small message: short, and there.
		if end := 2 + int(b[1]); end <= len(b) && end <= r.limit {
			r.r += end
			return b[0], b[2:end:end], true, nil
		}
	}
	flags, body, ok, err = r.next()
	if !ok || r.opener == nil {
		return flags, body, ok, err
	}
	flags, body, err = r.opener.open(flags, body)
	return flags, body, err == nil, err
}

// next is Next for the frames as they are on the wire.
func (r *Reader) next() (flags byte, body []byte, ok bool, err error) {
	if r.own != nil {
		return r.nextOwn()
	}
	flags, header, size, ok, err := ParseHeader(r.buf[r.r:r.w])
	if !ok || err != nil {
		return 0, nil, false, err
	}
	if size-r.opener.overhead() > r.limit {
		return 0, nil, false, ErrTooLarge
	}
	start := r.r + header
	if end := start + size; end <= r.w {
		r.r = end
		return flags, r.buf[start:end:end], true, nil
	}
	if size >= ownFrame {
		r.ownSize, r.ownFlags = size, flags
		r.ahead(r.buf[start:r.w])
		r.r = r.w
	}
	return 0, nil, false, nil
}

// ahead makes room for a large frame of which this is there: for all of it
// where such a buffer is there already, else only for so much that nobody can
// make us allocate what he does not send.
func (r *Reader) ahead(there []byte) {
	if r.thrift > 0 {
		r.move(make([]byte, min(r.ownSize, max(r.thrift, len(there)))), there)
	} else if b := buffer.Pooled(r.ownSize, r.ownSize <= maxAhead); b != nil {
		r.move(b, there)
	} else {
		r.move(make([]byte, min(r.ownSize, maxAhead)), there)
	}
}

// move makes this the buffer of the large frame, with what is there of it.
func (r *Reader) move(to, there []byte) {
	from := r.own
	r.own = append(to[:0], there...)
	buffer.GiveBack(from)
}

func (r *Reader) nextOwn() (byte, []byte, bool, error) {
	if len(r.own) < r.ownSize {
		return 0, nil, false, nil
	}
	body := r.own
	r.own, r.brief = nil, true
	return r.ownFlags | Own, body, true, nil
}

// Fill reads once.
func (r *Reader) Fill() error {
	if r.own != nil {
		return r.fillOwn()
	}
	r.makeRoom()
	room := r.buf[r.w:]
	if r.brief {
		room = room[:min(len(room), afterOwn)]
		r.brief = false
	}
	n, err := r.src.Read(room)
	r.w += n
	r.full = r.w == len(r.buf)
	return readError(n, err)
}

func (r *Reader) fillOwn() error {
	if len(r.own) == cap(r.own) {
		return r.grow()
	}
	n, err := r.src.Read(r.own[len(r.own):cap(r.own)])
	r.own = r.own[:len(r.own)+n]
	return readError(n, err)
}

// grow makes room for more of a large frame once there is more.
func (r *Reader) grow() error {
	more := make([]byte, min(afterOwn, r.ownSize-len(r.own)))
	n, err := r.src.Read(more)
	if n > 0 {
		r.move(r.room(r.grown()), r.own)
		r.own = append(r.own, more[:n]...)
	}
	return readError(n, err)
}

// room returns a buffer of that size. A thrifty reader takes none that would be
// kept when it is done.
func (r *Reader) room(size int) []byte {
	if r.thrift > 0 {
		return make([]byte, size)
	}
	return buffer.Get(size)
}

// readError is the error of a read that brought nothing.
func readError(n int, err error) error {
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// makeRoom sees to it that buf has room behind w: by starting over where
// nobody keeps anything, else with a new buffer that takes over the unread part.
func (r *Reader) makeRoom() {
	unread := r.w - r.r
	grow := r.full && len(r.buf) < maxChunk
	if !r.kept && !grow && unread < len(r.buf) {
		copy(r.buf, r.buf[r.r:r.w])
		r.r, r.w = 0, unread
		return
	}
	if r.kept && !r.full && len(r.buf)-r.w > len(r.buf)/4 {
		return
	}
	size := max(len(r.buf), minChunk)
	if grow {
		size = min(4*size, maxChunk)
	}
	size = max(size, 2*unread)
	buf := buffer.Get(size)
	copy(buf, r.buf[r.r:r.w])
	r.buf, r.r, r.w, r.kept, r.full = buf, 0, unread, false, false
}
