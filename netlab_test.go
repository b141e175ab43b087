package zyre_test

import (
	"testing"

	"github.com/gozyre/zyre/internal/conformance"
)

// TestHosts runs nodes on several hosts, whose network breaks in many ways.
func TestHosts(t *testing.T) { conformance.RunHosts(t, engine(), engine()) }
