package main

import (
	"fmt"
	"time"
)

// metric is one kind of figure.
type metric int

const (
	rate          metric = iota // messages delivered in a second
	p50                         // seconds
	p99                         // seconds
	discovery                   // seconds
	memoryPerNode               // bytes
	idleCPU                     // percent of one core
	processor                   // seconds of all processes, a message delivered
)

// title says what a figure of a workload is.
func (m metric) title(w *workload) string {
	if m == rate {
		if w.kind == shout {
			return w.about + ", delivered"
		}
		return w.about
	}
	return w.about + ": " + m.brief()
}

// brief says what a figure is where the workload is known.
func (m metric) brief() string {
	switch m {
	case discovery:
		return "time until all know all, from the last start"
	case memoryPerNode:
		return "resident memory of the processes, per idle node"
	case idleCPU:
		return "CPU time of all while idle, of one core"
	case processor:
		return "CPU time of sender and receivers, a message delivered"
	case p50:
		return "median"
	case p99:
		return "99th percentile"
	}
	return "messages delivered in a second"
}

func (m metric) moreIsBetter() bool { return m == rate }

// format writes a figure for a person to read; of a rate of messages that
// are large it adds the bytes.
func (m metric) format(value float64, w *workload) string {
	switch m {
	case p50, p99, discovery, processor:
		return duration(value)
	case memoryPerNode:
		return fmt.Sprintf("%.2f MB", value/1e6)
	case idleCPU:
		return fmt.Sprintf("%.1f %%", value)
	}
	if w.size < 1024 {
		return count(value) + "/s"
	}
	return fmt.Sprintf("%s/s = %s MB/s", count(value), count(value*float64(w.size)/1e6))
}

func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%.0f ns", seconds*1e9)
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f µs", float64(d)/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// count writes a number with three or four digits that mean something.
func count(v float64) string {
	switch {
	case v >= 10e6:
		return fmt.Sprintf("%.1f M", v/1e6)
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 10e3:
		return fmt.Sprintf("%.0f k", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}
