package lab

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// Messages in bulk are numbered and not kept: one frame of "#" and the number,
// from 0 on. Who receives
// them from a foreign node answers each ackEvery of them with a whisper of "+"
// and the number that have come, because Pyre gives a peer up for whom more
// than 3000 messages wait.
const (
	bulkMark = '#'
	ackMark  = '+'
	ackEvery = 500
)

// tally counts the numbered messages of one peer.
type tally struct {
	count int
	fault string // the first number out of order
}

func bulkMessage(number int) []byte {
	return strconv.AppendInt([]byte{bulkMark}, int64(number), 10)
}

// bulkNumber returns the number of a message in bulk.
func bulkNumber(ev Event) (number int, ok bool) {
	if len(ev.Msg) != 1 || len(ev.Msg[0]) < 2 || ev.Msg[0][0] != bulkMark {
		return 0, false
	}
	number, err := strconv.Atoi(string(ev.Msg[0][1:]))
	return number, err == nil
}

// next counts a message.
func (n *tally) next(number int) {
	if number != n.count && n.fault == "" {
		n.fault = fmt.Sprintf("number %d instead of %d", number, n.count)
	}
	n.count++
}

func (j *Journal) tally(peer UUID) *tally {
	n := j.tallies[peer]
	if n == nil {
		n = &tally{}
		j.tallies[peer] = n
	}
	return n
}

// count changes the tally of a peer.
func (j *Journal) count(peer UUID, do func(*tally)) {
	j.change(func() {
		do(j.tally(peer))
		j.alive = time.Now()
	})
}

// AwaitBulk waits until peer has sent so many numbered messages in all, and
// checks that none was missing or out of order.
func (j *Journal) AwaitBulk(t testing.TB, peer UUID, total int) {
	t.Helper()
	j.await(t, fmt.Sprintf("%d numbered messages of %X", total, peer), func() bool {
		n := j.tally(peer)
		return n.fault != "" || n.count >= total
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := j.tally(peer); n.fault != "" || n.count != total {
		t.Fatalf("%s: %d numbered messages of %d, fault: %s\n%s", j.owner, n.count, total, n.fault, j.dump())
	}
}
