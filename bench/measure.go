package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

// sample is what one measurement gave.
type sample struct {
	values  map[metric]float64
	version string // of the library
	flaws   string // messages lost or wrong, or ""
}

// measurement is one workload on one driver.
type measurement struct {
	driver  driver
	load    *workload
	program string
	pace    pace
	net     *network
	profile string // prefix of profiles' names; "": none

	workers []*process
	open    []protocol.Request // of each worker
	version string
}

func (m *measurement) run() (sample, error) {
	defer func() {
		for _, w := range m.workers {
			w.stop()
		}
	}()
	if err := m.startWorkers(); err != nil {
		return sample{}, err
	}
	lastStart, met, err := m.assemble()
	if err != nil {
		return sample{}, err
	}
	var s sample
	switch m.load.kind {
	case mesh:
		s, err = m.idle()
		if err == nil {
			s.values[discovery] = max(0, met.Sub(lastStart).Seconds())
		}
	case roundTrip:
		s, err = m.roundTrip()
	default:
		s, err = m.stream()
	}
	s.version = m.version
	return s, err
}

// startWorkers divides the nodes among processes: those of a mesh equally,
// otherwise party 0, which sends, has one for itself.
func (m *measurement) startWorkers() error {
	shares := []int{1, m.load.nodes - 1}
	if m.load.kind == mesh {
		shares = make([]int, m.load.procs)
		for i := range m.load.nodes {
			shares[i%len(shares)]++
		}
	}
	open := m.load.request(protocol.Open, m.pace)
	open.Idle = m.load.kind == mesh
	m.driver.find(m.net, &open)
	for _, share := range shares {
		w, err := startProcess(m.program)
		if err != nil {
			return err
		}
		open.Nodes = share
		m.workers, m.open = append(m.workers, w), append(m.open, open)
		open.First += share
	}
	return nil
}

// assemble starts all nodes and waits until each can reach all it has to.
func (m *measurement) assemble() (lastStart, met time.Time, err error) {
	opened, err := m.openAll()
	if err != nil {
		return lastStart, met, err
	}
	meet := m.load.request(protocol.Meet, m.pace)
	for _, r := range opened {
		meet.Addrs = append(meet.Addrs, r.Addrs...)
	}
	m.version = opened[0].Version
	all, err := m.askAll(func(int) protocol.Request { return meet })
	return latest(opened), latest(all), err
}

// openAll opens all workers at once, but a gossip hub before the others.
func (m *measurement) openAll() ([]protocol.Reply, error) {
	if m.open[0].Hub == "" {
		return m.askAll(func(i int) protocol.Request { return m.open[i] })
	}
	hub, err := m.workers[0].ask(m.open[0])
	if err != nil {
		return nil, err
	}
	rest, err := ask(m.workers[1:], func(i int) protocol.Request { return m.open[i+1] })
	return append([]protocol.Reply{hub}, rest...), err
}

func latest(replies []protocol.Reply) time.Time {
	var at int64
	for _, r := range replies {
		at = max(at, r.AtNS)
	}
	return time.Unix(0, at)
}

// askAll asks all workers at the same time.
func (m *measurement) askAll(req func(i int) protocol.Request) ([]protocol.Reply, error) {
	return ask(m.workers, req)
}

func ask(workers []*process, req func(i int) protocol.Request) ([]protocol.Reply, error) {
	replies := make([]protocol.Reply, len(workers))
	errs := make([]error, len(workers))
	done := make(chan struct{})
	for i, w := range workers {
		go func() {
			replies[i], errs[i] = w.ask(req(i))
			done <- struct{}{}
		}()
	}
	for range workers {
		<-done
	}
	return replies, errors.Join(errs...)
}

// traffic has party 0 do one thing and the others the opposite.
func (m *measurement) traffic(active, passive string) (a, b protocol.Reply, err error) {
	replies, err := m.askAll(func(i int) protocol.Request {
		do := []string{active, passive}[i]
		req := m.load.request(do, m.pace)
		if m.profile != "" {
			req.Profile = fmt.Sprintf("%s-%s.pprof", m.profile, do)
		}
		return req
	})
	return replies[0], replies[1], err
}

func (m *measurement) stream() (sample, error) {
	before, err := m.sum((*process).cpuTime)
	if err != nil {
		return sample{}, err
	}
	sent, got, err := m.traffic(protocol.Send, protocol.Receive)
	if err != nil {
		return sample{}, err
	}
	after, err := m.sum((*process).cpuTime)
	if err != nil {
		return sample{}, err
	}
	receivers := int64(m.load.nodes - 1)
	s := sample{values: map[metric]float64{
		rate:      float64(sent.Messages*receivers) / time.Duration(sent.ElapsedNS).Seconds(),
		processor: time.Duration(after-before).Seconds() / float64(max(1, got.Messages)), // warming up included, in both
	}}
	if got.Lost+got.Wrong > 0 {
		s.flaws = fmt.Sprintf("%d lost, %d out of order or damaged, of %d", got.Lost, got.Wrong, got.Lost+got.Messages)
	}
	return s, nil
}

func (m *measurement) roundTrip() (sample, error) {
	reply, _, err := m.traffic(protocol.Ping, protocol.Echo)
	return sample{values: map[metric]float64{
		p50: time.Duration(reply.P50NS).Seconds(),
		p99: time.Duration(reply.P99NS).Seconds(),
	}}, err
}

// idle measures what a mesh needs that has nothing to do.
func (m *measurement) idle() (sample, error) {
	s := sample{values: map[metric]float64{}}
	if m.load.gives(memoryPerNode) {
		time.Sleep(m.pace.settle)
		memory, err := m.sum((*process).resident)
		if err != nil {
			return s, err
		}
		s.values[memoryPerNode] = float64(memory) / float64(m.load.nodes)
	}
	if m.load.gives(idleCPU) {
		busy, err := m.busy(m.pace.idle)
		if err != nil {
			return s, err
		}
		s.values[idleCPU] = busy * 100
	}
	return s, m.stillKnown()
}

// busy returns the CPU time of the workers as a share of the time that passes.
func (m *measurement) busy(d time.Duration) (float64, error) {
	start := time.Now()
	before, err := m.sum((*process).cpuTime)
	if err != nil {
		return 0, err
	}
	time.Sleep(d)
	after, err := m.sum((*process).cpuTime)
	return float64(after-before) / float64(time.Since(start)), err
}

func (m *measurement) sum(of func(*process) (int64, error)) (int64, error) {
	var sum int64
	for _, w := range m.workers {
		v, err := of(w)
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return sum, nil
}

// stillKnown makes sure that the mesh did not fall apart.
func (m *measurement) stillKnown() error {
	replies, err := m.askAll(func(int) protocol.Request { return m.load.request(protocol.Peers, m.pace) })
	for _, r := range replies {
		if err == nil && r.Fewest < m.load.nodes-1 {
			err = fmt.Errorf("a node knows only %d of %d others after a while", r.Fewest, m.load.nodes-1)
		}
	}
	return err
}

// profileName is the prefix of the profiles of a measurement.
func profileName(dir string, d driver, w *workload, round int) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, fmt.Sprintf("%s-%s-%d", d.name(), w.name, round))
}
