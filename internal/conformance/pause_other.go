//go:build !unix

package conformance

// pauseTests need signals that stop a process.
var pauseTests []test
