package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// series is a row of workloads in which one thing grows and all else stays.
type series struct {
	about  string // what grows
	metric metric
	beyond []float64 // what the fit is asked for
	points []point
}

type point struct {
	x    float64
	load *workload
}

// scales are what docs/scaling.md tells of.
var scales = func() []*series {
	nodes := func(m metric) *series {
		return &series{about: "nodes in a mesh", metric: m, beyond: []float64{500, 1000}}
	}
	time, memory, idle := nodes(discovery), nodes(memoryPerNode), nodes(idleCPU)
	for _, n := range []int{10, 25, 50, 100, 150, 200} {
		w := newMesh(n, discovery, memoryPerNode, idleCPU)
		for _, s := range []*series{time, memory, idle} {
			s.points = append(s.points, point{float64(n), w})
		}
	}
	members := &series{about: "members of a group that is shouted to", metric: processor}
	for _, n := range []int{1, 2, 5, 10, 20, 50} {
		members.points = append(members.points, point{float64(n), newShout(fmt.Sprintf("shout-%d", n), n)})
	}
	groups := &series{about: "groups that each of 10 nodes is in", metric: discovery, beyond: []float64{4000}}
	held := &series{about: groups.about, metric: memoryPerNode, beyond: groups.beyond}
	for _, n := range []int{1, 10, 100, 1000} {
		w := newMesh(10, discovery, memoryPerNode)
		w.name, w.also = fmt.Sprintf("groups-%d", n), n-1
		groups.points = append(groups.points, point{float64(n), w})
		held.points = append(held.points, point{float64(n), w})
	}
	sizes := &series{about: "bytes of a whisper", metric: processor}
	for n := 16; n <= 1<<20; n *= 4 {
		sizes.points = append(sizes.points, point{float64(n), newWhisper(fmt.Sprintf("size-%d", n), n)})
	}
	return []*series{time, memory, idle, members, groups, held, sizes}
}()

// scaleLoads are the workloads of all series, each once.
func scaleLoads() []*workload {
	var list []*workload
	seen := map[*workload]bool{}
	for _, s := range scales {
		for _, p := range s.points {
			if !seen[p.load] {
				list = append(list, p.load)
			}
			seen[p.load] = true
		}
	}
	return list
}

// writeScales writes what a run found for each series, and how it grows.
func (r *report) writeScales(out io.Writer) error {
	r.writeHead(out)
	for _, s := range scales {
		for _, d := range r.drivers {
			if err := s.write(out, r, d.name()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *series) write(out io.Writer, r *report, driver string) error {
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	var xs, ys []float64
	var last *workload
	for _, p := range s.points {
		o := r.outcomes[p.load.name][driver]
		if o == nil || len(o.samples) == 0 {
			continue
		}
		if last == nil {
			fmt.Fprintf(out, "\n%s: %s: %s\n", driver, s.about, s.metric.brief())
			fmt.Fprintln(tab, "\tmedian\tleast\tmost\t")
		}
		last = p.load
		e := o.entry(driver, s.metric)
		xs, ys = append(xs, p.x), append(ys, e.median)
		fmt.Fprintf(tab, "%.0f\t%s\t%s\t%s\t\n", p.x, s.metric.format(e.median, p.load), s.metric.format(e.min, p.load), s.metric.format(e.max, p.load))
	}
	if err := tab.Flush(); err != nil || last == nil {
		return err
	}
	f, ok := fitPower(xs, ys)
	if !ok {
		return nil
	}
	fmt.Fprintf(out, "  grows with x^%.2f", f.exponent)
	for _, x := range s.beyond {
		fmt.Fprintf(out, "; at %.0f that is %s", x, s.metric.format(f.at(x), last))
	}
	_, err := fmt.Fprintln(out)
	return err
}

// power is y = factor · x^exponent.
type power struct{ factor, exponent float64 }

func (p power) at(x float64) float64 { return p.factor * math.Pow(x, p.exponent) }

// fitPower fits the upper half of the points: where things are large is where
// the fit is asked for, and at the lower end there is what does not grow.
func fitPower(xs, ys []float64) (power, bool) {
	from := (len(xs) - 1) / 2
	var n, sx, sy, sxx, sxy float64
	for i := from; i < len(xs); i++ {
		if xs[i] <= 0 || ys[i] <= 0 {
			continue
		}
		x, y := math.Log(xs[i]), math.Log(ys[i])
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if n < 2 {
		return power{}, false
	}
	exponent := (n*sxy - sx*sy) / (n*sxx - sx*sx)
	return power{math.Exp((sy - exponent*sx) / n), exponent}, true
}
