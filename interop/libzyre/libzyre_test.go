//go:build linux

// Package libzyre tests package fallback against libzyre itself, the ZRE node
// in C that all others follow: a program of ours around it is built with cc
// and pkg-config.
package libzyre

import (
	"testing"

	"github.com/gozyre/zyre/interop/internal/cnode"
	"github.com/gozyre/zyre/interop/internal/lab"
	"github.com/gozyre/zyre/interop/internal/suite"
)

func TestMain(m *testing.M) { lab.Main(m) }

func TestSuite(t *testing.T) {
	suite.Run(t, suite.Implementation{Command: cnode.Build(t)})
}
