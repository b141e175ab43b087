//go:build linux

// Package zyrejs tests package fallback against zyre.js, the ZRE node in
// JavaScript. ZYRE_JS_DIR names a folder into which npm has installed, with
// --ignore-scripts, zyre.js 1.3 and zeromq 6.8.
package zyrejs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gozyre/zyre/interop/internal/lab"
	"github.com/gozyre/zyre/interop/internal/suite"
)

func TestMain(m *testing.M) { lab.Main(m) }

func TestZyreJS(t *testing.T) {
	dir := findZyreJS(t)
	suite.Run(t, suite.Implementation{
		Command: func(testing.TB) *exec.Cmd {
			cmd := exec.Command("node", "testdata/peer.js")
			cmd.Env = append(os.Environ(), "ZYRE_JS_DIR="+dir, "ZYRE_JS_INTERFACE="+lab.Interface)
			return cmd
		},
		OneFrame:   true,
		JoinsFirst: true,
	})
}

func findZyreJS(t *testing.T) string {
	t.Helper()
	const what = "zyre.js (npm install --ignore-scripts zyre.js@1.3 zeromq@6.8; name the folder in ZYRE_JS_DIR)"
	if os.Getenv("ZYRE_JS_DIR") == "" {
		lab.Missing(t, what, errors.New("ZYRE_JS_DIR is not set"))
	}
	dir, err := filepath.Abs(os.Getenv("ZYRE_JS_DIR"))
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "node_modules", "zyre.js"))
	}
	if err == nil {
		var out []byte
		if out, err = exec.Command("node", "--version").CombinedOutput(); err != nil {
			err = fmt.Errorf("node: %w: %s", err, out)
		}
	}
	if err != nil {
		lab.Missing(t, what, err)
	}
	return dir
}
