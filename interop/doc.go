// Package interop is the root of the tests that run package fallback, the
// engine in Go, against implementations of ZRE, ZMTP and beacons that others
// wrote:
//
//	libzyre  libzyre, the node in C: every event, every message, both ways;
//	         elections, gossip, CURVE
//	pyre     Pyre, the node in Python: every event, every message, both ways
//	zyrejs   zyre.js, the node in JavaScript: the same
//	mesh     both engines of package zyre and libzyre in C in one network, in
//	         each kind of discovery
//	zmq      sockets of libzmq that speak ZRE by hand: the wire below the node,
//	         CURVE
//	czmq     beacons of CZMQ
//
// The nodes of others are found by environment variables that the packages
// name, libzyre by pkg-config. What is missing on a machine is skipped, and
// fails where CI=true; but for libzyre, which no registry has.
// Whatever announces itself does so in a network namespace, or on loopback.
//
// It is a module of its own, so that users of package zyre do not inherit
// what only these tests need.
package interop
