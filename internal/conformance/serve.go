package conformance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gozyre/zyre"
	"github.com/gozyre/zyre/internal/remote"
)

// serveEnv names the factory of the node that a child process serves.
const serveEnv = "ZYRE_CONFORMANCE_NODE"

// Serve is the body of the test that [Launch] runs in the child process: it
// answers the calls on its standard input until that ends, and does not
// return. In any other process it does nothing.
//
//	func TestServeNode(t *testing.T) { conformance.Serve(conformance.Zyre("lo")) }
func Serve(factories ...Factory) {
	name := os.Getenv(serveEnv)
	if name == "" {
		return
	}
	for _, f := range factories {
		if f.Name == name {
			remote.Serve(&service{factory: f}, os.Stdin, os.Stdout)
			os.Exit(0)
		}
	}
	fmt.Fprintf(os.Stderr, "conformance: no factory %q\n", name)
	os.Exit(2)
}

// service is a node as package remote calls it.
type service struct {
	factory Factory
	node    Node
}

// None stands for no argument and no result.
type None struct{}

// Target is to whom or where and, for messages, what.
type Target struct {
	Peer          zyre.UUID
	Group         string
	Endpoint, Key string
	Frames        [][]byte
}

// OpenArgs are the arguments of New.
type OpenArgs struct {
	Name    string
	Options Options
}

// PeerReply is the result of Peer.
type PeerReply struct {
	Peer zyre.Peer
	OK   bool
}

func (s *service) Open(args OpenArgs, _ *None) (err error) {
	s.node, err = s.factory.New(args.Name, args.Options)
	return err
}

func (s *service) Start(None, *None) error              { return s.node.Start(context.Background()) }
func (s *service) Stop(None, *None) error               { return s.node.Stop() }
func (s *service) Close(None, *None) error              { return s.node.Close() }
func (s *service) Join(to Target, _ *None) error        { return s.node.Join(to.Group) }
func (s *service) Leave(to Target, _ *None) error       { return s.node.Leave(to.Group) }
func (s *service) Whisper(to Target, _ *None) error     { return s.node.Whisper(to.Peer, to.Frames...) }
func (s *service) Shout(to Target, _ *None) error       { return s.node.Shout(to.Group, to.Frames...) }
func (s *service) UUID(_ None, r *zyre.UUID) error      { *r = s.node.UUID(); return nil }
func (s *service) Name(_ None, r *string) error         { *r = s.node.Name(); return nil }
func (s *service) Peers(_ None, r *[]zyre.UUID) error   { *r = s.node.Peers(); return nil }
func (s *service) Groups(_ None, r *[]string) error     { *r = s.node.Groups(); return nil }
func (s *service) PeerGroups(_ None, r *[]string) error { *r = s.node.PeerGroups(); return nil }
func (s *service) Stats(_ None, r *zyre.Stats) error    { *r = s.node.Stats(); return nil }

func (s *service) GroupPeers(of Target, r *[]zyre.UUID) error {
	*r = s.node.GroupPeers(of.Group)
	return nil
}

func (s *service) Peer(of Target, r *PeerReply) error {
	r.Peer, r.OK = s.node.Peer(of.Peer)
	return nil
}

func (s *service) RequirePeer(to Target, _ *None) error {
	return s.node.RequirePeer(to.Peer, to.Endpoint, to.Key)
}

func (s *service) GossipUnpublish(of Target, _ *None) error { return s.node.GossipUnpublish(of.Peer) }

func (s *service) Dump(_ None, r *string) error {
	var text bytes.Buffer
	err := s.node.Dump(&text)
	*r = text.String()
	return err
}

// Recv waits for an event for that time at most.
func (s *service) Recv(wait time.Duration, r *zyre.Event) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	*r, err = s.node.Recv(ctx)
	return err
}
