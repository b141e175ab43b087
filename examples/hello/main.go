// Hello starts three nodes in one process, on the loopback interface, and
// prints what each of them learns: they find each other, join a group, shout,
// whisper and leave. It ends by itself.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"github.com/gozyre/zyre"
)

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println("engine:", zyre.Version())

	var nodes sync.WaitGroup
	failed := make(chan error, 3)
	for _, name := range []string{"alice", "bob", "carol"} {
		nodes.Go(func() { failed <- meet(ctx, name, 2) })
	}
	nodes.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// meet runs one node until it has greeted, and was greeted by, so many others.
func meet(ctx context.Context, name string, others int) error {
	node, err := zyre.New(name, zyre.WithInterface("lo"), zyre.WithPort(5679), zyre.WithHeader("X-ROLE", "demo"))
	if err != nil {
		return err
	}
	defer node.Close()
	if err := node.Join("HELLO"); err != nil {
		return err
	}
	if err := node.Start(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}

	shouts, whispers, exits := 0, 0, 0
	for ev, err := range node.Events(ctx) {
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf("%-5s  %v\n", name, ev)
		switch ev.Type {
		case zyre.Join:
			err = node.Whisperf(ev.Peer, "nice to meet you, %s", ev.Name)
		case zyre.Whisper:
			if whispers++; whispers == others {
				err = node.Shout("HELLO", []byte("hello from "+name))
			}
		case zyre.Shout:
			fmt.Printf("%-5s  %s shouts: %s\n", name, ev.Name, ev.Text())
			if shouts++; shouts == others {
				err = node.Leave("HELLO")
			}
		case zyre.Leave:
			if exits++; exits == others {
				return node.Stop()
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
