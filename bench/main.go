// Command bench measures package zyre beside what it is compared to, in one
// run on one machine: its two engines, a plain C program on libzyre, bare
// libzmq and raw TCP. Sender and receivers are processes of their own. It
// prints a table with medians, spread and ratios, and can draw it.
//
//	go run . -list
//	go run . -quick -only fallback,tcp,whisper
//	go run . -isolate -svg ../docs/performance.svg
//	go run . -isolate -scale
//
// Nodes find each other by beacons; those of libzyre, which cannot send them
// on the loopback interface, by gossip over 127.0.0.1. With -isolate, as root
// on Linux, all of it runs in a network namespace of its own, on an interface
// that carries the beacons of every library: compare discovery, memory and
// idle CPU time only so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/gozyre/zyre/internal/netlab"
)

// options are what the command line says.
type options struct {
	pace       pace
	rounds     int
	drivers    []driver
	workloads  []*workload
	list       bool
	isolate    bool
	scale      bool
	svg        string
	cpuprofile string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err == nil && o.list:
		list(os.Stdout)
		return
	case err == nil:
		err = bench(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string, usage io.Writer) (options, error) {
	o := options{pace: full}
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(usage)
	fast := flags.Bool("quick", false, "a tenth of the time for each measurement: to see that it works")
	flags.StringVar(&only, "only", "", "`names` of libraries and workloads, with commas; \"whisper\" means all whisper-…")
	flags.IntVar(&o.rounds, "rounds", 5, "how often everything is measured")
	flags.BoolVar(&o.scale, "scale", false, "measure how cost grows with nodes, groups, members and size, of the engine in Go unless -only names others")
	flags.StringVar(&o.svg, "svg", "", "draw the table to this `file`")
	flags.StringVar(&o.cpuprofile, "cpuprofile", "", "write CPU profiles of the workers in Go to this `directory`")
	flags.BoolVar(&o.list, "list", false, "list libraries and workloads")
	flags.BoolVar(&o.isolate, "isolate", false, "run in a network namespace of its own (Linux, root)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.rounds < 1 {
		return o, fmt.Errorf("unexpected argument %q or rounds below 1; see -help", flags.Args())
	}
	if *fast {
		o.pace = quick
	}
	return o, o.choose(only)
}

// choose selects drivers and workloads by name. Of a kind of which none is
// named, all are meant.
func (o *options) choose(only string) error {
	all := workloads
	if o.scale {
		all = scaleLoads()
	}
	for _, name := range strings.FieldsFunc(only, func(c rune) bool { return c == ',' || c == ' ' }) {
		found := len(o.drivers) + len(o.workloads)
		for _, d := range drivers {
			if d.name() == name && !slices.Contains(o.drivers, d) {
				o.drivers = append(o.drivers, d)
			}
		}
		for _, w := range all {
			if (w.name == name || strings.HasPrefix(w.name, name+"-")) && !slices.Contains(o.workloads, w) {
				o.workloads = append(o.workloads, w)
			}
		}
		if len(o.drivers)+len(o.workloads) == found {
			return fmt.Errorf("-only: %q is neither library nor workload, or was named before; see -list", name)
		}
	}
	switch {
	case len(o.drivers) > 0:
	case o.scale:
		o.drivers = []driver{fallback{}}
	default:
		o.drivers = drivers
	}
	if len(o.workloads) == 0 {
		o.workloads = all
	}
	return nil
}

func list(out io.Writer) {
	fmt.Fprintln(out, "libraries:")
	for _, d := range drivers {
		fmt.Fprintf(out, "  %-16s %s\n", d.name(), d.about())
	}
	fmt.Fprintln(out, "workloads:")
	for _, w := range workloads {
		fmt.Fprintf(out, "  %-16s %s\n", w.name, w.about)
	}
}

func bench(ctx context.Context, o options) error {
	if o.isolate {
		// In the namespace there is no network to fetch modules from.
		if err := run(ctx, "go", "mod", "download"); err != nil {
			return err
		}
		if code, reran := netlab.Isolate(); reran {
			os.Exit(code)
		}
		if !netlab.Isolated() {
			return errors.New("-isolate: no network namespace can be made here; it needs Linux and root")
		}
	}
	if o.cpuprofile != "" {
		if err := os.MkdirAll(o.cpuprofile, 0o777); err != nil {
			return err
		}
	}
	r, err := measureAll(ctx, o)
	if err != nil {
		return err
	}
	write := r.writeTable
	if o.scale {
		write = r.writeScales
	}
	if err := write(os.Stdout); err != nil {
		return err
	}
	if err := saveChart(r, o.svg); err != nil {
		return err
	}
	if r.failed() {
		return errors.New("a measurement failed or lost messages, see above")
	}
	return nil
}

// measureAll builds the workers and measures, round by round. The order of
// the libraries changes from round to round, so that none is always first.
func measureAll(ctx context.Context, o options) (*report, error) {
	programs, missing, cleanup, err := buildAll(ctx, o.drivers)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	network := &network{}
	if netlab.Isolated() {
		network.isolated = netlab.IsolatedInterface
	}
	r := newReport(describeMachine(), o, o.workloads, missing)
	start := time.Now()
	for round := range o.rounds {
		for _, w := range o.workloads {
			for i := range o.drivers {
				d := o.drivers[(i+round)%len(o.drivers)]
				if missing[d.name()] != "" || d.lacks(w) != "" {
					continue
				}
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				fmt.Fprintf(os.Stderr, "round %d of %d: %s %s\n", round+1, o.rounds, w.name, d.name())
				m := measurement{driver: d, load: w, program: programs[d.name()], pace: o.pace, net: network,
					profile: profileName(o.cpuprofile, d, w, round+1)}
				s, err := m.run()
				r.add(d, w, s, err)
			}
		}
	}
	r.took = time.Since(start)
	return r, nil
}

// buildAll builds the workers into a directory that cleanup removes.
func buildAll(ctx context.Context, wanted []driver) (programs, missing map[string]string, cleanup func(), err error) {
	dir, err := os.MkdirTemp("", "zyre-bench-")
	if err != nil {
		return nil, nil, nil, err
	}
	cleanup = func() { _ = os.RemoveAll(dir) }
	programs, missing = map[string]string{}, map[string]string{}
	for _, d := range wanted {
		program, err := d.build(ctx, dir)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s is SKIPPED: %v\n", d.name(), err)
			missing[d.name()] = err.Error()
			continue
		}
		programs[d.name()] = program
	}
	if len(programs) == 0 {
		cleanup()
		return nil, nil, nil, errors.New("no worker could be built; run it in its own directory")
	}
	return programs, missing, cleanup, nil
}

func saveChart(r *report, path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := r.writeChart(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
