//go:build linux

// Package cnode builds a program around a node of plain libzyre, for lab to
// launch.
package cnode

import (
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gozyre/zyre/interop/internal/lab"
)

//go:embed testdata
var sources embed.FS

// Build returns how to run the program. Without libzyre, which no registry
// has, it skips the test, in CI too.
func Build(t testing.TB) func(testing.TB) *exec.Cmd {
	t.Helper()
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "libzyre", "libczmq", "libzmq").Output()
	if err != nil {
		t.Skip("SKIPPED: LIBZYRE IS NOT INSTALLED: PKG-CONFIG DOES NOT FIND LIBZYRE, LIBCZMQ AND LIBZMQ")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, sources); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "peer")
	args := []string{"-std=gnu11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-g", "-O1", "-o", program,
		filepath.Join(dir, "testdata", "peer.c"), filepath.Join(dir, "testdata", "json.c")}
	if out, err := exec.Command("cc", append(args, strings.Fields(string(flags))...)...).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return func(testing.TB) *exec.Cmd {
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), "ZSYS_INTERFACE="+lab.Interface)
		return cmd
	}
}

// NeedDrafts skips the test where the czmq beside libzyre was built without
// its draft functions, as Debian's is.
func NeedDrafts(t testing.TB, what string) {
	t.Helper()
	flags, err := exec.Command("pkg-config", "--cflags", "libczmq").Output()
	if err != nil || !strings.Contains(string(flags), "-DCZMQ_BUILD_DRAFT_API=1") {
		t.Skipf("SKIPPED: %s NEEDS A CZMQ THAT WAS BUILT WITH ITS DRAFT FUNCTIONS", what)
	}
}
