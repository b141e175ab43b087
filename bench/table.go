package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// compared are the drivers that each figure is divided by, as columns.
var compared = []struct{ driver, title string }{
	{libzyreName, "÷ libzyre"}, {libzmqName, "÷ libzmq"}, {tcpName, "÷ tcp"},
}

// writeTable writes the report as text.
func (r *report) writeTable(out io.Writer) error {
	r.writeHead(out)
	for _, row := range r.rows() {
		if err := row.writeTable(out); err != nil {
			return err
		}
	}
	return nil
}

// writeHead says what was measured on what.
func (r *report) writeHead(out io.Writer) {
	fmt.Fprintf(out, "%v\n", r.machine)
	fmt.Fprintf(out, "median of %d rounds, the libraries in turn within each; %v of traffic a measurement after %v to warm up; took %v\n\n",
		r.rounds, r.pace.run, r.pace.warm, r.took.Round(time.Second))
	for _, d := range r.drivers {
		if why, absent := r.missing[d.name()]; absent {
			fmt.Fprintf(out, "%-9s SKIPPED: %s\n", d.name(), why)
			continue
		}
		fmt.Fprintf(out, "%-9s %s: %s\n", d.name(), d.about(), r.versions[d.name()])
	}
}

func (w *row) writeTable(out io.Writer) error {
	direction := "less is better"
	if w.metric.moreIsBetter() {
		direction = "more is better"
	}
	fmt.Fprintf(out, "\n%s: %s (%s)\n", w.load.name, w.metric.title(w.load), direction)
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tab, "\tmedian\tleast\tmost\t")
	for _, c := range compared {
		fmt.Fprintf(tab, "%s\t", c.title)
	}
	fmt.Fprintln(tab)
	var notes []string
	for _, e := range w.entries {
		if e.note != "" {
			notes = append(notes, fmt.Sprintf("  %s: %s\n", e.driver, e.note))
		}
		if e.rounds > 0 {
			w.writeEntry(tab, e)
		}
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, strings.Join(notes, ""))
	return err
}

func (w *row) writeEntry(tab io.Writer, e entry) {
	fmt.Fprintf(tab, "%s\t", e.driver)
	for _, v := range []float64{e.median, e.min, e.max} {
		fmt.Fprintf(tab, "%s\t", w.metric.format(v, w.load))
	}
	for _, c := range compared {
		if ratio, ok := w.ratio(e, c.driver); ok {
			fmt.Fprintf(tab, "%.3g\t", ratio)
		} else {
			fmt.Fprint(tab, "–\t")
		}
	}
	fmt.Fprintln(tab)
}
