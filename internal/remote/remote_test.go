package remote

import (
	"errors"
	"os"
	"os/exec"
	"reflect"
	"sync"
	"testing"
	"time"
)

// childEnv makes this program one that serves.
const childEnv = "ZYRE_REMOTE_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		Serve(&service{released: make(chan struct{})}, os.Stdin, os.Stdout)
		return
	}
	os.Exit(m.Run())
}

type service struct{ released chan struct{} }

type all struct {
	Number     uint64
	Empty, Nil [][]byte
	Wait       time.Duration
	Map        map[string]int
}

func (*service) Echo(a all, result *all) error { *result = a; return nil }
func (*service) Fail(text string, _ *struct{}) error {
	return errors.New(text)
}

// Wait returns when Release was called.
func (s *service) Wait(struct{}, *struct{}) error    { <-s.released; return nil }
func (s *service) Release(struct{}, *struct{}) error { close(s.released); return nil }
func (*service) Die(struct{}, *struct{}) error       { os.Exit(0); return nil }

// start starts a child, which must end with the test.
func start(t *testing.T) *Client {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	c, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestValuesComeOverAsTheyAre(t *testing.T) {
	c := start(t)
	sent := all{Number: 1<<64 - 1, Empty: [][]byte{{}, nil, {0, 255}}, Wait: time.Second, Map: map[string]int{"a": 1}}
	var got all
	if err := c.Call("Echo", sent, &got); err != nil || !reflect.DeepEqual(got, sent) {
		t.Errorf("%+v came back as %+v, %v", sent, got, err)
	}
}

func TestErrors(t *testing.T) {
	c := start(t)
	for method, want := range map[string]string{"Fail": "so it is", "Nothing": "no such method"} {
		var text Error
		if err := c.Call(method, "so it is", &struct{}{}); !errors.As(err, &text) || string(text) != want {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// Calls do not wait for each other.
func TestCallsAtOnce(t *testing.T) {
	c := start(t)
	var calls sync.WaitGroup
	for range 10 {
		calls.Go(func() {
			if err := c.Call("Wait", struct{}{}, &struct{}{}); err != nil {
				t.Error(err)
			}
		})
	}
	if err := c.Call("Release", struct{}{}, &struct{}{}); err != nil {
		t.Error(err)
	}
	calls.Wait()
}

func TestProcessThatEnds(t *testing.T) {
	c := start(t)
	var calls sync.WaitGroup
	for _, method := range []string{"Wait", "Wait", "Die"} {
		calls.Go(func() {
			if err := c.Call(method, struct{}{}, &struct{}{}); !errors.Is(err, ErrEnded) {
				t.Errorf("%s: %v", method, err)
			}
		})
	}
	calls.Wait()
	if err := c.Call("Wait", struct{}{}, &struct{}{}); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
}
