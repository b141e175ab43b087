package main

import (
	"fmt"
	"slices"
	"time"
)

// outcome is all that a driver gave on a workload, over the rounds.
type outcome struct {
	skipped string // why there is nothing
	samples []sample
	errs    []error
}

// report is the result of a run.
type report struct {
	machine  machine
	rounds   int
	pace     pace
	took     time.Duration
	drivers  []driver
	missing  map[string]string // drivers that could not be built, and why
	versions map[string]string // of drivers
	loads    []*workload
	outcomes map[string]map[string]*outcome // by workload and driver
}

func newReport(m machine, o options, loads []*workload, missing map[string]string) *report {
	r := &report{
		machine: m, rounds: o.rounds, pace: o.pace, drivers: o.drivers, loads: loads,
		missing: missing, versions: map[string]string{}, outcomes: map[string]map[string]*outcome{},
	}
	for _, w := range loads {
		r.outcomes[w.name] = map[string]*outcome{}
		for _, d := range o.drivers {
			r.outcomes[w.name][d.name()] = &outcome{skipped: d.lacks(w)}
		}
	}
	return r
}

// add takes in the result of one measurement.
func (r *report) add(d driver, w *workload, s sample, err error) {
	o := r.outcomes[w.name][d.name()]
	if s.version != "" {
		r.versions[d.name()] = s.version
	}
	if err != nil {
		o.errs = append(o.errs, err)
		return
	}
	o.samples = append(o.samples, s)
}

// failed reports whether a measurement failed, or messages were lost.
func (r *report) failed() bool {
	for _, byDriver := range r.outcomes {
		for _, o := range byDriver {
			if len(o.errs) > 0 || o.flaws() != "" {
				return true
			}
		}
	}
	return false
}

func (o *outcome) flaws() string {
	for _, s := range o.samples {
		if s.flaws != "" {
			return s.flaws
		}
	}
	return ""
}

// row is one figure of one workload, of all drivers.
type row struct {
	load    *workload
	metric  metric
	entries []entry
}

// entry is what one driver reached.
type entry struct {
	driver           string
	median, min, max float64
	rounds           int    // that gave a figure
	note             string // why there is no figure, or what is wrong with it
}

// rows returns the figures of the report.
func (r *report) rows() []row {
	var rows []row
	for _, w := range r.loads {
		for i, m := range w.figures {
			next := row{load: w, metric: m}
			for _, d := range r.drivers {
				if _, absent := r.missing[d.name()]; absent {
					continue
				}
				e := r.outcomes[w.name][d.name()].entry(d.name(), m)
				if i > 0 {
					e.note = "" // it stands with the first figure
				}
				next.entries = append(next.entries, e)
			}
			rows = append(rows, next)
		}
	}
	return rows
}

func (o *outcome) entry(driver string, m metric) entry {
	e := entry{driver: driver, rounds: len(o.samples)}
	switch {
	case o.skipped != "":
		e.note = "not measured: " + o.skipped
	case len(o.errs) > 0:
		e.note = fmt.Sprintf("FAILED in %d of %d rounds: %v", len(o.errs), len(o.errs)+len(o.samples), o.errs[0])
	case o.flaws() != "":
		e.note = "LOST: " + o.flaws()
	}
	if len(o.samples) == 0 {
		return e
	}
	values := make([]float64, len(o.samples))
	for i, s := range o.samples {
		values[i] = s.values[m]
	}
	slices.Sort(values)
	e.min, e.median, e.max = values[0], median(values), values[len(values)-1]
	return e
}

// median of sorted values.
func median(sorted []float64) float64 {
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// ratio returns how an entry compares to that of another driver.
func (w *row) ratio(e entry, to string) (ratio float64, ok bool) {
	i := slices.IndexFunc(w.entries, func(e entry) bool { return e.driver == to })
	if i < 0 || e.rounds == 0 || w.entries[i].rounds == 0 || w.entries[i].median == 0 {
		return 0, false
	}
	return e.median / w.entries[i].median, true
}
