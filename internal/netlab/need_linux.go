package netlab

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// programs are what a lab is made and changed with.
var programs = []string{"ip", "tc", "nsenter"}

// Need skips the test where no lab can be made, and says what is missing. In
// CI (CI=true in the environment) it fails the test: there a lab must work.
func Need(t testing.TB) {
	t.Helper()
	missing := lacking()
	if missing == "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("network namespaces are needed in CI: " + missing)
	}
	t.Skip("needs network namespaces: " + missing)
}

// lacking says what keeps this process from making a lab, or "".
func lacking() string {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "not root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, "no program "+p)
		}
	}
	return strings.Join(missing, ", ")
}
