//go:build linux

package faults

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"github.com/gozyre/zyre/fallback"
	"github.com/gozyre/zyre/internal/history"
	"github.com/gozyre/zyre/internal/remote"
)

// agentEnv makes this program an agent: a process on a host that runs nodes.
const agentEnv = "ZYRE_FAULTS_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(agentEnv) != "" {
		serveAgent()
		return
	}
	flag.Set("test.parallel", "8") // they wait more than they work; the command line may say otherwise
	os.Exit(m.Run())
}

// serveAgent answers calls on standard input until that ends.
func serveAgent() {
	a := &Agent{actors: map[string]*actor{}}
	remote.Serve(a, os.Stdin, os.Stdout)
	a.close()
}

// Agent is what the test calls in the process of an agent.
type Agent struct {
	mu     sync.Mutex
	actors map[string]*actor
}

// None stands for no argument and no result.
type None struct{}

// Behavior is what an application is told.
type Behavior struct {
	Name string
	Mode Mode
}

// Figures are what an agent's process uses.
type Figures struct {
	Goroutines, Descriptors, Live int
}

func (a *Agent) actor(name string) *actor {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.actors[name]
}

// Begin starts a node: a new one, or again the one of that name that was ended.
func (a *Agent) Begin(s Spec, id *history.ID) (err error) {
	actor := a.actor(s.Name)
	if actor == nil {
		if actor, err = newActor(s); err != nil {
			return err
		}
		a.mu.Lock()
		a.actors[s.Name] = actor
		a.mu.Unlock()
	}
	*id, err = actor.begin()
	return err
}

// End stops a node.
func (a *Agent) End(name string, life *history.Life) error {
	ended, err := a.actor(name).end()
	if err == nil {
		*life = *ended
	}
	return err
}

// Drop closes a node that was ended, if that was not done before.
func (a *Agent) Drop(name string, _ *None) error {
	a.mu.Lock()
	actor := a.actors[name]
	delete(a.actors, name)
	a.mu.Unlock()
	if actor == nil {
		return nil
	}
	return actor.node.Close()
}

// Life returns the history of a node so far.
func (a *Agent) Life(name string, life *history.Life) error {
	*life = *a.actor(name).history()
	return nil
}

// Behave changes how the application of a node behaves.
func (a *Agent) Behave(b Behavior, _ *None) error {
	a.actor(b.Name).behave(b.Mode)
	return nil
}

// Nudge makes a node send something to everybody once.
func (a *Agent) Nudge(name string, _ *None) error {
	a.actor(name).nudge()
	return nil
}

// Stats returns the counters of a node.
func (a *Agent) Stats(name string, s *fallback.Stats) error {
	*s = a.actor(name).node.Stats()
	return nil
}

// Dump returns the state of all nodes for a person to read.
func (a *Agent) Dump(_ None, text *string) error {
	var b bytes.Buffer
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, actor := range a.actors {
		actor.node.Dump(&b)
	}
	*text = b.String()
	return nil
}

// Figures tells what the process uses.
func (a *Agent) Figures(_ None, f *Figures) error {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, err := os.ReadDir("/proc/self/fd")
	*f = Figures{runtime.NumGoroutine(), len(open), int(m.HeapInuse + m.StackInuse)}
	return err
}

func (a *Agent) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, actor := range a.actors {
		if err := actor.node.Close(); err != nil {
			fmt.Fprintln(os.Stderr, name, err)
			os.Exit(1)
		}
	}
}
