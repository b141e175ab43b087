package netlab

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Line is how long packets take between a host and the bridge, and what may
// happen to them on the way, in each direction.
type Line struct {
	Delay, Jitter time.Duration // between Delay-Jitter and Delay+Jitter, in order
	Reorder       int           // percent of packets that some later ones overtake
	Duplicate     int           // percent of packets that arrive twice
	Reset         int           // of 1000 TCP packets, how many end their connection
}

// overtaken is by how much a packet is late that others overtake.
const overtaken = 10 * time.Millisecond

// Shape makes the host's line as bad as that; the zero Line is a good one. The
// first call exchanges the host's cable for one that the test process passes
// on packet by packet: it must come before anything runs on the host. Loss
// and partitions count as before.
func (h *Host) Shape(l Line) {
	h.lab.t.Helper()
	if h.wire == nil {
		h.lab.check(h.rewire())
	}
	h.wire.mu.Lock()
	defer h.wire.mu.Unlock()
	h.wire.line = l
}

// wire passes packets on between two TAP interfaces: that of the host and its
// port of the bridge.
type wire struct {
	mu   sync.Mutex
	line Line
}

// rewire exchanges the veth pair of the host. Netem, which is usual for
// delays, is not in every kernel.
func (h *Host) rewire() error {
	if err := h.lab.bridge.run("ip link delete %s", h.port()); err != nil {
		return err
	}
	inside, err := openTap(h.space, h.Interface())
	if err != nil {
		return err
	}
	outside, err := openTap(h.lab.bridge, h.port())
	if err != nil {
		inside.Close()
		return err
	}
	h.wire = &wire{}
	var pumps sync.WaitGroup
	pumps.Go(func() { h.wire.pump(inside, outside) })
	pumps.Go(func() { h.wire.pump(outside, inside) })
	h.lab.t.Cleanup(func() {
		inside.Close()
		outside.Close()
		pumps.Wait()
	})
	if err := h.space.run("ip link set %s address %s", h.Interface(), h.mac()); err != nil {
		return err
	}
	if err := h.plug(); err != nil {
		return err
	}
	return h.filter()
}

// packet is one on its way.
type packet struct {
	due   time.Time
	frame []byte
}

// onTheWay is a heap of packets by the time when they arrive.
type onTheWay []packet

func (w onTheWay) Len() int           { return len(w) }
func (w onTheWay) Less(i, j int) bool { return w[i].due.Before(w[j].due) }
func (w onTheWay) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *onTheWay) Push(p any)        { *w = append(*w, p.(packet)) }
func (w *onTheWay) Pop() any {
	last := len(*w) - 1
	p := (*w)[last]
	*w = (*w)[:last]
	return p
}

// queueLength is how many packets are on the way at most; others are lost.
const queueLength = 4096

// pump passes packets on in one direction until one of the files is closed.
func (w *wire) pump(from, to *os.File) {
	arrivals := make(chan []byte, 64)
	go func() {
		defer close(arrivals)
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			arrivals <- append([]byte(nil), buf[:n]...)
		}
	}()
	var queue onTheWay
	var last time.Time // when the last packet in order arrives
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case frame, ok := <-arrivals:
			if !ok {
				return
			}
			if w.resets() {
				reset(frame)
			}
			for range w.copies() {
				if len(queue) < queueLength {
					heap.Push(&queue, packet{w.due(&last), frame})
				}
			}
		case <-timer.C:
		}
		for len(queue) > 0 && !queue[0].due.After(time.Now()) {
			to.Write(heap.Pop(&queue).(packet).frame) // a port that is down takes nothing
		}
		if len(queue) > 0 {
			timer.Reset(time.Until(queue[0].due))
		}
	}
}

// copies returns how often a packet is to arrive.
func (w *wire) copies() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if rand.IntN(100) < w.line.Duplicate {
		return 2
	}
	return 1
}

// resets tells whether a packet is to end its connection.
func (w *wire) resets() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return rand.IntN(1000) < w.line.Reset
}

// reset sets the flag RST in a TCP packet over IPv4, so that the one whom it
// reaches gives up the connection. Other packets stay as they are.
func reset(frame []byte) {
	const (
		ethernet  = 14
		protocol  = ethernet + 9
		tcp       = 6
		flags     = 12 // with the length of the header
		checksum  = 16
		shortest  = 20
		flagReset = 0x0004
	)
	if len(frame) < ethernet+2*shortest || frame[12] != 0x08 || frame[13] != 0x00 || frame[protocol] != tcp {
		return
	}
	segment := frame[ethernet+4*int(frame[ethernet]&0x0f):]
	if len(segment) < shortest {
		return
	}
	before := binary.BigEndian.Uint16(segment[flags:])
	after := before | flagReset
	binary.BigEndian.PutUint16(segment[flags:], after)
	// RFC 1624: the checksum changes by what changed.
	sum := uint32(^binary.BigEndian.Uint16(segment[checksum:])) + uint32(^before) + uint32(after)
	sum = sum>>16 + sum&0xffff
	sum += sum >> 16
	binary.BigEndian.PutUint16(segment[checksum:], ^uint16(sum))
}

// due returns when a packet is to arrive that is sent now.
func (w *wire) due(last *time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Now().Add(w.line.Delay)
	if w.line.Jitter > 0 {
		at = at.Add(rand.N(2*w.line.Jitter) - w.line.Jitter)
	}
	if rand.IntN(100) < w.line.Reorder {
		return at.Add(overtaken)
	}
	if !at.After(*last) {
		at = last.Add(1) // packets that are due at the same time have no order
	}
	*last = at
	return at
}

// openTap makes a TAP interface in a namespace, whose packets are read from
// and written to the file. It goes with the file. See the kernel's
// Documentation/networking/tuntap.rst.
func openTap(s *space, name string) (*os.File, error) {
	var fd int
	var err error
	s.do(func() { fd, err = attachTap(name) })
	if err != nil {
		return nil, fmt.Errorf("TAP interface %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun "+name), nil
}

func attachTap(name string) (fd int, err error) {
	fd, err = syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var request struct { // struct ifreq
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:syscall.IFNAMSIZ-1], name)
	request.flags = syscall.IFF_TAP | syscall.IFF_NO_PI
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TUNSETIFF, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		syscall.Close(fd)
		return -1, errno
	}
	return fd, nil
}
