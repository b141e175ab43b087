package zyre

import "github.com/gozyre/zyre/internal/rule"

// Errors of this package. Compare with [errors.Is]; most are wrapped in an
// error that names the field, its value, and what to do about it.
//
// Whatever an engine cannot do at all answers [errors.ErrUnsupported].
var (
	// ErrClosed: the node was closed, before or during the call.
	ErrClosed = rule.ErrClosed

	// ErrNotStarted: the call needs a started node.
	ErrNotStarted = rule.ErrNotStarted

	// ErrStarted: the node was started before and not stopped since.
	ErrStarted = rule.ErrStarted

	// ErrNoInterface: no network interface has this name or address, or the
	// one that has it cannot carry beacons. The message lists those that can.
	ErrNoInterface = rule.ErrNoInterface

	// ErrUnknownPeer: no peer with this UUID has entered, or it has left.
	ErrUnknownPeer = rule.ErrUnknownPeer

	// ErrEmptyMessage: a message needs at least one frame. The frame may be empty.
	ErrEmptyMessage = rule.ErrEmptyMessage

	// ErrTooLarge: the message is above the limit of 64 MiB or 65,536 frames.
	ErrTooLarge = rule.ErrTooLarge

	// ErrInvalid: a name, group, header, port, duration, interface or
	// endpoint that no node can use.
	ErrInvalid = rule.ErrInvalid
)
