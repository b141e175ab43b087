package beacon

import "syscall"

// namespace identifies a network namespace. A socket keeps its namespace in
// being, so that the number is not given to another meanwhile.
type namespace uint64

// currentNamespace returns the namespace of the calling thread, 0 if it is
// not known.
func currentNamespace() namespace {
	var st syscall.Stat_t
	if err := syscall.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return 0
	}
	return namespace(st.Ino)
}
