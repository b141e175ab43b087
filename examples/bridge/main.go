// Bridge joins a group of Zyre to an application of ZeroMQ that publishes and
// subscribes: the services that a team has keep their sockets and see the
// nodes of the group as one more publisher and one more subscriber.
//
//	application PUB ──► SUB bridge  ══► SHOUT to the group
//	application SUB ◄── PUB bridge  ◄══ SHOUT of a node in the group
//
//	bridge -group SENSORS -in tcp://10.0.0.7:5556 -out @tcp://*:5557
//
// An endpoint is connected to, or with an @ before it listened on. Both ways
// all frames of a message pass unchanged:
//
//   - What the application publishes is shouted, its topic as the first frame.
//   - What a node shouts is published with two frames more before its own: the
//     name of the group, which is the topic to subscribe to, and the name of
//     the node.
//
// Messages whose topic is the name of the group are not shouted, so that none
// goes round in a circle where both sockets are attached to one proxy.
//
// The sockets of ZeroMQ are those of libzmq: the bridge needs cgo, libzmq, and
// libzyre too, unless it is built with the tag purego. To try it, beside the
// chat example:
//
//	go run -tags purego . -group CHAT -in tcp://127.0.0.1:5556 -out @tcp://127.0.0.1:5557
//
// Ctrl-C leaves the group and ends the bridge.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/gozyre/zyre"
)

func main() {
	name := flag.String("name", "bridge", "the name that the group sees")
	group := flag.String("group", "", "the group to join")
	in := flag.String("in", "", "endpoint of the application's PUB socket, such as tcp://10.0.0.7:5556")
	out := flag.String("out", "", "endpoint for the application's SUB socket, such as @tcp://*:5557")
	topic := flag.String("topic", "", "shout only messages whose topic begins like this")
	iface := flag.String("interface", "", "network interface of the group, such as eth0 or lo (default: chosen, see -v)")
	verbose := flag.Bool("v", false, "log what the node does")
	flag.Parse()
	if *group == "" || *in == "" || *out == "" || flag.NArg() > 0 {
		fmt.Fprintln(flag.CommandLine.Output(), "bridge: -group, -in and -out are needed, and nothing besides flags")
		flag.Usage()
		os.Exit(2)
	}

	var opts []zyre.Option
	if *iface != "" {
		opts = append(opts, zyre.WithInterface(*iface))
	}
	if *verbose {
		opts = append(opts, zyre.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := bridge{name: *name, group: *group, in: *in, out: *out, topic: *topic}
	if err := b.run(ctx, opts...); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "bridge:", err)
		os.Exit(1)
	}
}
