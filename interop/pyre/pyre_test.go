//go:build linux

// Package pyre tests package fallback against Pyre, the ZRE node in Python:
// zeromq-pyre on PyPI. ZYRE_PYRE_PYTHON names a Python that has it; else
// python3 has to.
package pyre

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/gozyre/zyre/interop/internal/lab"
	"github.com/gozyre/zyre/interop/internal/suite"
)

func TestMain(m *testing.M) { lab.Main(m) }

func TestPyre(t *testing.T) {
	python := findPython(t)
	suite.Run(t, suite.Implementation{
		Command: func(testing.TB) *exec.Cmd { return exec.Command(python, "testdata/peer.py") },
	})
}

func findPython(t *testing.T) string {
	t.Helper()
	python := cmp.Or(os.Getenv("ZYRE_PYRE_PYTHON"), "python3")
	if out, err := exec.Command(python, "-c", "import pyre, zmq").CombinedOutput(); err != nil {
		lab.Missing(t, "Pyre (pip install zeromq-pyre; name its Python in ZYRE_PYRE_PYTHON)", fmt.Errorf("%w: %s", err, out))
	}
	return python
}
