package fallback

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gozyre/zyre/internal/testport"
)

// mesh starts n nodes and returns when each knows all others.
func mesh(t testing.TB, n int) ([]*Node, time.Duration) {
	port := testport.Next()
	nodes := make([]*Node, n)
	for i := range nodes {
		nodes[i] = startNode(t, testConfig(fmt.Sprint("n", i), port))
	}
	begin := time.Now()
	for _, node := range nodes {
		for len(node.Peers()) < n-1 {
			if time.Since(begin) > patience {
				t.Fatalf("%d peers of %d", len(node.Peers()), n-1)
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	return nodes, time.Since(begin)
}

// BenchmarkMesh tells how long after the last Start all nodes of a mesh, here
// in one process, know each other.
func BenchmarkMesh(b *testing.B) {
	for _, n := range []int{10, 50} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var total time.Duration
			for range b.N {
				nodes, took := mesh(b, n)
				total += took
				var wg sync.WaitGroup
				for _, node := range nodes {
					wg.Go(func() { node.Close() })
				}
				wg.Wait()
			}
			b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms/mesh")
		})
	}
}
