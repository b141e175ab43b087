package main

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
)

// sampleReport has figures of two libraries, one that failed once, one that
// lost messages and one that is not there.
func sampleReport() *report {
	load := &workload{name: "whisper-1k", about: "whispers <1 KiB>", kind: windowed, size: 1024, figures: []metric{rate}}
	o := options{rounds: 3, drivers: drivers}
	r := newReport(machine{cpu: "a & b"}, o, []*workload{load}, map[string]string{"cgo": "no libzyre"})
	for _, v := range []float64{300, 100, 200} {
		r.add(fallback{}, load, sample{values: map[metric]float64{rate: v * 1000}, version: "fallback 9"}, nil)
		r.add(plainC{}, load, sample{values: map[metric]float64{rate: 50000}}, nil)
	}
	r.add(plainC{}, load, sample{}, errors.New("broken"))
	r.add(libzmq{}, load, sample{values: map[metric]float64{rate: 100000}, flaws: "3 lost"}, nil)
	return r
}

func TestEntries(t *testing.T) {
	rows := sampleReport().rows()
	if len(rows) != 1 || len(rows[0].entries) != 4 {
		t.Fatalf("rows: %+v", rows)
	}
	e := rows[0].entries[0]
	if e.driver != "fallback" || e.median != 200e3 || e.min != 100e3 || e.max != 300e3 || e.rounds != 3 {
		t.Errorf("fallback: %+v", e)
	}
	for to, want := range map[string]float64{libzyreName: 4, libzmqName: 2} {
		if got, ok := rows[0].ratio(e, to); !ok || got != want {
			t.Errorf("ratio to %s: %v, %v", to, got, ok)
		}
	}
	if _, ok := rows[0].ratio(e, tcpName); ok {
		t.Error("ratio to a library without figures")
	}
	if m := median([]float64{1, 2, 4, 9}); m != 3 {
		t.Errorf("median of four: %v", m)
	}
}

func TestTable(t *testing.T) {
	r := sampleReport()
	var out strings.Builder
	if err := r.writeTable(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"a & b", "fallback 9", "cgo       SKIPPED: no libzyre", "200 k/s = 205 MB/s",
		"c: FAILED in 1 of 4 rounds: broken", "libzmq: LOST: 3 lost",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if !r.failed() {
		t.Error("a run with a failure and a loss is not called failed")
	}
}

func TestChartIsXML(t *testing.T) {
	var out strings.Builder
	if err := sampleReport().writeChart(&out); err != nil {
		t.Fatal(err)
	}
	bars := 0
	for d := xml.NewDecoder(strings.NewReader(out.String())); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
			bars++
		}
	}
	if bars != 3 {
		t.Errorf("%d bars for three libraries:\n%s", bars, out.String())
	}
}

func TestFormat(t *testing.T) {
	small, large := &workload{size: 16}, &workload{size: 1 << 20}
	for _, c := range []struct {
		metric metric
		value  float64
		load   *workload
		want   string
	}{
		{rate, 12_345_678, small, "12.3 M/s"},
		{rate, 1_234_567, small, "1.23 M/s"},
		{rate, 88_888, small, "89 k/s"},
		{rate, 999, large, "999/s = 1048 MB/s"},
		{p50, 12.34e-6, small, "12.3 µs"},
		{discovery, 0.0123, small, "12.3 ms"},
		{discovery, 1.5, small, "1.50 s"},
		{memoryPerNode, 1_234_567, small, "1.23 MB"},
		{idleCPU, 7.25, small, "7.2 %"},
	} {
		if got := c.metric.format(c.value, c.load); got != c.want {
			t.Errorf("format of %v: %q, want %q", c.value, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-quick", "-only", "tcp,whisper,mesh-50", "-rounds", "7"}, io.Discard)
	if err != nil || o.pace != quick || o.rounds != 7 {
		t.Fatalf("%+v, %v", o, err)
	}
	if len(o.drivers) != 1 || len(o.workloads) != 5 {
		t.Errorf("%d libraries and %d workloads", len(o.drivers), len(o.workloads))
	}
	if o, err := parse(nil, io.Discard); err != nil || len(o.drivers) != len(drivers) || len(o.workloads) != len(workloads) || o.pace != full {
		t.Errorf("no arguments: %+v, %v", o, err)
	}
	for _, args := range [][]string{{"-only", "udp"}, {"-rounds", "0"}, {"tcp"}, {"-only", "tcp,tcp"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	if _, err := parse([]string{"-help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help: %v", err)
	}
}

// Windows are bounded in messages, and in bytes where those are large.
func TestWindow(t *testing.T) {
	for _, w := range workloads {
		window := w.window()
		switch {
		case w.kind == unthrottled || w.kind == mesh:
			if window != 0 {
				t.Errorf("%s has a window of %d", w.name, window)
			}
		case window < 4 || window > maxWindow || window*w.size > maxInFlight:
			t.Errorf("%s has a window of %d", w.name, window)
		}
	}
}
