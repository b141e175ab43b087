// Package netlab gives tests hosts on a network of their own: Linux network
// namespaces joined by veth pairs to a bridge, which is in a namespace too.
// Nothing of it is visible in the namespace that the test process lives in,
// nothing has a name on disk, and all of it is gone with the process, however
// that ends.
//
//	lab := netlab.New(t)
//	h1, h2 := lab.Host("h1"), lab.Host("h2")
//	h1.Do(func() { conn, err = net.Listen("tcp", h1.Addr().String()+":0") })
//	cmd := h2.Command("ip", "address")
//	lab.Partition(h1, h2)
//
// A namespace is that of a thread: what is opened inside [Host.Do] belongs to
// the host and works everywhere afterwards, with Go's network poller too; but
// goroutines that are started inside run on other threads, in the namespace
// of the process. What opens sockets in goroutines of its own, such as a node,
// or a dial with a deadline, must therefore run as a process of the host:
// [Host.Command].
//
// It needs Linux, root, and the programs ip, tc and nsenter. [Need] skips a
// test that lacks them.
package netlab
