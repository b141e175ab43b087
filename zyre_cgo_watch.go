//go:build cgo && !purego

package zyre

/*
#cgo nocallback zg_arm
#cgo nocallback zg_disarm
#include "zyre_cgo.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// watch lets one goroutine wait at libzyre's inbox, in Go's netpoller.
//
// The netpoller does not know the inbox itself but a descriptor that speaks
// for it while it is armed. Else each event would wake a thread of the
// netpoller, even while nobody waits there.
type watch struct {
	inbox C.int
	bell  *os.File
	wait  syscall.RawConn // of bell
	armed bool            // belongs to the one who waits
}

func newWatch(node *C.zg_node) (*watch, error) {
	inbox, err := C.zg_inbox_fd(node)
	if inbox < 0 {
		return nil, fmt.Errorf("zyre: descriptor of libzyre's inbox: %w", err)
	}
	w := &watch{inbox: inbox}
	fd, err := C.zg_bell(inbox)
	if fd < 0 {
		return nil, fmt.Errorf("zyre: descriptor for libzyre's inbox: %w", err)
	}
	w.bell = os.NewFile(uintptr(fd), "zyre inbox")
	if w.wait, err = w.bell.SyscallConn(); err != nil {
		w.close()
	}
	return w, err
}

// until returns when there is what arrived looks for, which is asked at first
// and whenever the inbox may have something; or when it is interrupted.
func (w *watch) until(arrived func() bool) {
	err := w.wait.Read(func(bell uintptr) bool {
		w.disarm(bell)
		return arrived() || !w.arm(bell)
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = w.wait.Control(w.disarm)
		// First this, then another look at what has arrived: whoever
		// interrupts from now on is heard.
		_ = w.bell.SetReadDeadline(time.Time{})
	}
}

// arm has the bell ring if the inbox has something, now or later. It reports
// false where the kernel has no room for that. It is better to look again and
// again then than to hear of nothing.
func (w *watch) arm(bell uintptr) bool {
	if C.zg_arm(C.int(bell), w.inbox) != 0 {
		time.Sleep(lively)
		return false
	}
	w.armed = true
	return true
}

func (w *watch) disarm(bell uintptr) {
	if w.armed {
		C.zg_disarm(C.int(bell), w.inbox)
		w.armed = false
	}
}

// interrupt ends an until. Coming late it ends the next one.
func (w *watch) interrupt() { _ = w.bell.SetReadDeadline(time.Unix(1, 0)) }

func (w *watch) close() { _ = w.bell.Close() }
