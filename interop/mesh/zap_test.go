//go:build linux && cgo && !purego

package mesh

import (
	"testing"

	"github.com/zeromq/goczmq"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/netlab"
	"github.com/gozyre/zyre/interop/internal/lab"
)

// A process has one handler of ZAP. A node that names the keys of its peers
// has it while it runs, and does not run beside one of the application.
func TestAllowedKeysBesideZauth(t *testing.T) {
	netlab.Need(t)
	cert, err := zyre.NewCert()
	must(t, err)
	node, err := zyre.New("n", zyre.WithInterface(lab.Interface), zyre.WithCert(cert), zyre.WithAllowedKeys(cert.PublicKey()))
	must(t, err)
	t.Cleanup(func() { must(t, node.Close()) })
	must(t, node.Start(t.Context()))
	must(t, node.Stop())

	auth := goczmq.NewAuth()
	must(t, auth.Allow("127.0.0.1")) // it answers
	if err := node.Start(t.Context()); err == nil {
		t.Error("two handlers of ZAP")
	}
	auth.Destroy()
	must(t, node.Start(t.Context()))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
