//go:build !linux || !cgo || purego

package mesh

import "testing"

func TestMesh(t *testing.T) {
	t.Skip("SKIPPED: A MESH OF BOTH ENGINES NEEDS LIBZYRE, CGO, AND A BUILD WITHOUT THE TAG PUREGO")
}
