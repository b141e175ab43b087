package worker

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gozyre/zyre/bench/internal/protocol"
)

// ping sends one message at a time and waits until it is back.
func ping(p Party, req *protocol.Request) (protocol.Reply, error) {
	msg := make([]byte, req.Size)
	start := time.Now()
	warm := start.Add(time.Duration(req.WarmMS) * time.Millisecond)
	end := warm.Add(time.Duration(req.RunMS) * time.Millisecond)
	var trips []time.Duration
	for number := uint64(0); ; number++ {
		sent := time.Now()
		last := sent.After(end) || len(trips) >= req.Max
		protocol.Put(msg, number, last)
		if err := roundTrip(p, msg); err != nil {
			return protocol.Reply{}, fmt.Errorf("round trip %d: %w", number, err)
		}
		if sent.After(warm) {
			trips = append(trips, time.Since(sent))
		}
		if last {
			break
		}
	}
	if len(trips) == 0 {
		return protocol.Reply{}, errors.New("no round trip in time")
	}
	slices.Sort(trips)
	return protocol.Reply{
		Messages: int64(len(trips)),
		P50NS:    int64(trips[len(trips)/2]),
		P99NS:    int64(trips[len(trips)*99/100]),
	}, nil
}

func roundTrip(p Party, msg []byte) error {
	if err := p.Send(1, msg); err != nil {
		return err
	}
	_, back, err := p.Recv()
	if err != nil {
		return err
	}
	want, _ := protocol.Get(msg)
	if got, _ := protocol.Get(back); len(back) != len(msg) || got != want {
		return fmt.Errorf("sent message %d of %d bytes, got %d of %d back", want, len(msg), got, len(back))
	}
	return nil
}

// echo sends back what comes, up to the last message.
func echo(p Party) error {
	for {
		_, msg, err := p.Recv()
		if err != nil {
			return err
		}
		_, last := protocol.Get(msg)
		if err := p.Send(0, msg); err != nil {
			return err
		}
		if last {
			return flush(p)
		}
	}
}
