// Package faults holds the tests of nodes on bad networks: loss, delay,
// partitions, hosts that come, go, stop and move, applications that do not
// read, and long churn. The histories of all nodes are checked by package
// history; the networks are those of package netlab.
//
//	go test ./internal/faults                       faults and a short soak
//	go test ./internal/faults -run Soak -soak 10m   a long one
package faults
