// Package remote lets tests call methods of a value that is in a process of
// its own, over that process's standard input and output.
//
// A method has an argument and a pointer to its result, and returns an error:
//
//	func (v *Value) Method(arg Arg, result *Result) error
//
// It does what net/rpc does without the half of the standard library that
// would have to be built for that, net/http and its templates: for each
// platform and with each set of build flags.
package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"sync"
)

// Error is what a method has returned. Only its text comes over.
type Error string

func (e Error) Error() string { return string(e) }

// ErrEnded says that the process has ended, before or during the call.
var ErrEnded = errors.New("the process has ended")

// request is a call, on a line of its own.
type request struct {
	ID     uint64
	Method string
	Arg    json.RawMessage
}

// reply is the answer to the request of that ID.
type reply struct {
	ID     uint64
	Error  *Error
	Result json.RawMessage
}

// Serve answers calls of the methods of v until r ends, and all that came
// before have returned. Each has a goroutine of its own.
func Serve(v any, r io.Reader, w io.Writer) {
	value := reflect.ValueOf(v)
	var writing sync.Mutex
	out := json.NewEncoder(w)
	var calls sync.WaitGroup
	defer calls.Wait()
	for in := json.NewDecoder(r); ; {
		var q request
		if in.Decode(&q) != nil {
			return
		}
		calls.Go(func() {
			result, err := call(value.MethodByName(q.Method), q.Arg)
			a := reply{ID: q.ID, Result: result}
			if err != nil {
				text := Error(err.Error())
				a.Error = &text
			}
			writing.Lock()
			defer writing.Unlock()
			_ = out.Encode(a) // where nobody reads it the input ends too
		})
	}
}

// call calls a method with what came as its argument.
func call(method reflect.Value, text json.RawMessage) (json.RawMessage, error) {
	if !method.IsValid() {
		return nil, errors.New("no such method")
	}
	t := method.Type()
	arg, result := reflect.New(t.In(0)), reflect.New(t.In(1).Elem())
	if err := json.Unmarshal(text, arg.Interface()); err != nil {
		return nil, err
	}
	if err := method.Call([]reflect.Value{arg.Elem(), result})[0]; !err.IsNil() {
		return nil, err.Interface().(error)
	}
	return json.Marshal(result.Interface())
}

// Client calls methods in another process. It is safe for concurrent use.
type Client struct {
	w io.WriteCloser

	mu      sync.Mutex // held while a request is written, too
	out     *json.Encoder
	last    uint64
	waiting map[uint64]chan<- reply // nil: the process has ended
}

// Start starts a process that calls [Serve] with its standard input and output.
// Its standard error is that of this one.
func Start(cmd *exec.Cmd) (*Client, error) {
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return newClient(out, in), nil
}

func newClient(r io.Reader, w io.WriteCloser) *Client {
	c := &Client{w: w, out: json.NewEncoder(w), waiting: map[uint64]chan<- reply{}}
	go c.read(json.NewDecoder(r))
	return c
}

// Close ends the input of the other process, which then ends by itself.
func (c *Client) Close() error { return c.w.Close() }

// Call calls a method and puts what it returns into what result points to.
func (c *Client) Call(method string, arg, result any) error {
	text, err := json.Marshal(arg)
	if err != nil {
		return err
	}
	answer := make(chan reply, 1)
	if err := c.ask(method, text, answer); err != nil {
		return err
	}
	a, ok := <-answer
	switch {
	case !ok:
		return ErrEnded
	case a.Error != nil:
		return *a.Error
	}
	return json.Unmarshal(a.Result, result)
}

func (c *Client) ask(method string, arg json.RawMessage, answer chan<- reply) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		return ErrEnded
	}
	c.last++
	if err := c.out.Encode(request{c.last, method, arg}); err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	c.waiting[c.last] = answer
	return nil
}

// read hands out the replies until there are no more.
func (c *Client) read(in *json.Decoder) {
	for {
		var a reply
		err := in.Decode(&a)
		c.mu.Lock()
		if err != nil {
			for _, answer := range c.waiting {
				close(answer)
			}
			c.waiting = nil
			c.mu.Unlock()
			return
		}
		if answer := c.waiting[a.ID]; answer != nil {
			delete(c.waiting, a.ID)
			answer <- a
		}
		c.mu.Unlock()
	}
}
