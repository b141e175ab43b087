package main

import (
	"math"
	"strings"
	"testing"
)

func TestFitPower(t *testing.T) {
	var xs, ys []float64
	for _, x := range []float64{1, 10, 25, 50, 100, 200} {
		xs, ys = append(xs, x), append(ys, 3*x*x)
	}
	ys[0] = 1000 // does not count
	f, ok := fitPower(xs, ys)
	if !ok || math.Abs(f.exponent-2) > 1e-9 || math.Abs(f.at(1000)-3e6) > 1 {
		t.Errorf("%+v, %v", f, ok)
	}
	if _, ok := fitPower(xs[:1], ys[:1]); ok {
		t.Error("one point was fitted")
	}
	if _, ok := fitPower([]float64{1, 2, 3}, []float64{0, 0, 0}); ok {
		t.Error("zeros were fitted")
	}
}

func TestScaleTable(t *testing.T) {
	o := options{rounds: 1, drivers: []driver{fallback{}}, workloads: scaleLoads()}
	r := newReport(machine{cpu: "here"}, o, o.workloads, nil)
	for _, p := range scales[0].points {
		r.add(fallback{}, p.load, sample{values: map[metric]float64{discovery: p.x * p.x / 1e4, memoryPerNode: 1e6, idleCPU: 1}}, nil)
	}
	var out strings.Builder
	if err := r.writeScales(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"fallback: nodes in a mesh", "1.00 s", "grows with x^2.00; at 500 that is 25.00 s; at 1000 that is 100.00 s", "grows with x^0.00"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "members") {
		t.Error("a series without figures is shown")
	}
}
