package zyre_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/gozyre/zyre"
)

// start makes a node for the examples. TestMain keeps them off the network.
func start(ctx context.Context, name string, opts ...zyre.Option) (*zyre.Node, error) {
	node, err := zyre.New(name, append(opts, zyre.WithPort(5699))...)
	if err != nil {
		return nil, err
	}
	return node, node.Start(ctx)
}

func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	alice, err := start(ctx, "alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer alice.Close()
	alice.Join("CHAT")

	bob, err := start(ctx, "bob", zyre.WithHeader("X-ROLE", "guest"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bob.Close()
	bob.Join("CHAT")

	go func() { // what bob does: he thanks for a shout
		for ev, err := range bob.Events(ctx) {
			if err == nil && ev.Type == zyre.Shout {
				bob.Whisper(ev.Peer, []byte("thank you"), []byte(ev.Name))
			}
		}
	}()

	for ev, err := range alice.Events(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch ev.Type {
		case zyre.Enter:
			fmt.Println(ev.Name, "has entered as", ev.Header("X-ROLE"))
		case zyre.Join:
			alice.Shout("CHAT", []byte("welcome"))
		case zyre.Whisper:
			fmt.Printf("%s whispers %s, %s\n", ev.Name, ev.Msg[0], ev.Msg[1])
			bob.Stop()
		case zyre.Exit:
			fmt.Println(ev.Name, "has left")
			return
		}
	}
	// Output:
	// bob has entered as guest
	// bob whispers thank you, alice
	// bob has left
}

// For a select with other channels, a goroutine puts events into one. It ends
// with the context or with Close of the node.
func ExampleNode_Events_channel() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	node, err := start(ctx, "carol")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()

	events := make(chan zyre.Event)
	go func() {
		defer close(events)
		for ev, err := range node.Events(ctx) {
			if err != nil {
				return
			}
			events <- ev
		}
	}()

	node.Stop()
	select {
	case ev := <-events:
		fmt.Println(ev.Type, ev.Name)
	case <-time.After(time.Minute):
		fmt.Println("nothing happened")
	}
	// Output: STOP carol
}

// A program that receives many large messages gives the memory of each back
// when it is done with it.
func ExampleEvent_Release() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	camera, err := start(ctx, "camera")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer camera.Close()
	screen, err := start(ctx, "screen")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer screen.Close()

	go func() { // what the camera does: it sends pictures to whoever comes
		for ev, err := range camera.Events(ctx) {
			if err == nil && ev.Type == zyre.Enter {
				for i := range byte(3) {
					camera.Whisper(ev.Peer, bytes.Repeat([]byte{i}, 200<<10))
				}
			}
		}
	}()

	for ev := range screen.Events(ctx) {
		if ev.Type == zyre.Whisper {
			picture := ev.Msg[0]
			fmt.Println(len(picture)>>10, "KiB, color", picture[0])
			last := picture[0] == 2
			ev.Release() // picture is gone
			if last {
				return
			}
		}
	}
	// Output:
	// 200 KiB, color 0
	// 200 KiB, color 1
	// 200 KiB, color 2
}

// A door that hears nobody but the owner of one key, whoever else is there.
func ExampleWithAllowedKeys() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var certs [3]zyre.Cert // made once, kept in files: see Cert.Save
	for i := range certs {
		var err error
		if certs[i], err = zyre.NewCert(); err != nil {
			fmt.Println(err)
			return
		}
	}
	owner := zyre.WithAllowedKeys(certs[2].PublicKey())
	door, err := start(ctx, "door", zyre.WithCert(certs[0]), owner)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer door.Close()
	for i, name := range []string{"burglar", "owner"} {
		visitor, err := start(ctx, name, zyre.WithCert(certs[i+1]))
		if err != nil {
			fmt.Println(err)
			return
		}
		defer visitor.Close()
	}
	for ev := range door.Events(ctx) {
		if ev.Type == zyre.Enter {
			fmt.Println(ev.Name, "is at the door, and", len(door.Peers())-1, "others")
			return
		}
	}
	// Output: owner is at the door, and 0 others
}

func ExampleParseUUID() {
	id, err := zyre.ParseUUID("{c146649a-3767-4b0c-922b-fc38b0302fee}")
	fmt.Println(id, err)
	_, err = zyre.ParseUUID("alice")
	fmt.Println(err)
	// Output:
	// C146649A37674B0C922BFC38B0302FEE <nil>
	// zyre: invalid value: UUID "alice" is not 32 hex digits
}

func ExampleNew_errors() {
	_, err := zyre.New("dave", zyre.WithPort(70000))
	fmt.Println(err)
	// Output: zyre: invalid value: port "70000" is not a port; ports are 1 to 65535
}
