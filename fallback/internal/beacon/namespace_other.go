//go:build !linux

package beacon

// namespace identifies a network namespace: there is only one.
type namespace uint64

func currentNamespace() namespace { return 0 }
