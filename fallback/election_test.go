package fallback

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gozyre/zyre/fallback/internal/zmtp"
	"github.com/gozyre/zyre/fallback/internal/zre"
	"github.com/gozyre/zyre/internal/hostile"
	"github.com/gozyre/zyre/internal/testport"
)

// voter is a node whose application remembers the last leader of group G.
type voter struct {
	*Node
	mu     sync.Mutex
	leader UUID
}

func startVoter(t *testing.T, port, i int, contest bool) *voter {
	cfg := testConfig(fmt.Sprint("v", i), port)
	cfg.Evasive, cfg.Expired = time.Second, 3*time.Second
	if contest {
		cfg.Contests = []string{"G"}
	}
	v := &voter{Node: startNode(t, cfg)}
	go func() {
		for {
			ev, err := v.Recv(context.Background())
			if err != nil {
				return
			}
			if ev.Kind == Leader && ev.Group == "G" {
				v.mu.Lock()
				v.leader = ev.Peer
				v.mu.Unlock()
			}
		}
	}()
	return v
}

// agree waits until all voters name the same one of them as the leader.
func agree(t *testing.T, voters map[int]*voter) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		views := map[UUID]int{}
		for _, v := range voters {
			v.mu.Lock()
			views[v.leader]++
			v.mu.Unlock()
		}
		for _, v := range voters {
			if views[v.UUID()] == len(voters) {
				return
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	for i, v := range voters {
		t.Errorf("voter %d (%s) follows %s", i, hexID(v.UUID())[:6], hexID(v.leader)[:6])
	}
	t.FailNow()
}

func TestElectionAgrees(t *testing.T) {
	port := testport.Next()
	voters := map[int]*voter{}
	for i := range 5 {
		voters[i] = startVoter(t, port, i, i != 2)
		voters[i].Join("G")
	}
	agree(t, voters)
}

// The leader is a member, one for all, after any order of joins, leaves and
// deaths. Those who have left are not asked.
func TestElectionAfterChanges(t *testing.T) {
	port := testport.Next()
	rnd := rand.New(rand.NewPCG(7, 7))
	voters, outside := map[int]*voter{}, map[int]*voter{}
	for i := range 24 {
		switch rnd.IntN(4) {
		case 0:
			for j, v := range voters {
				if len(voters) > 2 {
					v.Leave("G")
					delete(voters, j)
					outside[j] = v
				}
				break
			}
		case 1:
			for j, v := range voters {
				if len(voters) > 2 {
					v.Close()
					delete(voters, j)
				}
				break
			}
		case 2:
			for j, v := range outside {
				v.Join("G")
				delete(outside, j)
				voters[j] = v
				break
			}
		}
		v := startVoter(t, port, i, true)
		v.Join("G")
		voters[i] = v
		if rnd.IntN(2) == 0 && len(voters) > 1 {
			agree(t, voters)
		}
	}
	agree(t, voters)
}

func TestLastMemberLeads(t *testing.T) {
	port := testport.Next()
	voters := map[int]*voter{0: startVoter(t, port, 0, true), 1: startVoter(t, port, 1, true)}
	voters[0].Join("G")
	voters[1].Join("G")
	agree(t, voters)
	voters[1].Close()
	delete(voters, 1)
	agree(t, voters)
}

// Of a leader the application hears behind its Enter and not behind its Exit.
func TestLeaderBetweenEnterAndExit(t *testing.T) {
	b, s := newInbox(1<<20), &source{}
	leader := Event{Kind: Leader, Group: "G"}
	b.post(s, leader)
	if n, _ := b.size(); n != 0 {
		t.Fatalf("%d events before the Enter", n)
	}
	b.put(s, []Event{{Kind: Enter}, {Kind: Join}}, 0)
	b.post(s, leader)
	b.exit(s, Event{Kind: Exit})
	b.post(s, leader)
	for i, want := range []Kind{Enter, Join, Leader, Leader, Exit} {
		var ev Event
		if !b.pop(&ev) || ev.Kind != want {
			t.Fatalf("event %d is of kind %d, not %d", i, ev.Kind, want)
		}
	}
	if n, _ := b.size(); n != 0 {
		t.Errorf("%d events behind the Exit", n)
	}
}

// A connection tells of a leader while the application is slow; that peer exits
// meanwhile, which does not wait for room.
func TestLeaderThatLeavesBeforeItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, pr := withoutNetwork(t)
		defer node.Close()
		if err := node.Join("G"); err != nil {
			t.Fatal(err)
		}
		leads, tells := UUID{1}, UUID{2}
		callFrom(t, pr, "127.0.0.1", greets(leads, 3000, "G"))
		w := callFrom(t, pr, "127.0.0.1", greets(tells, 3001, "G"))
		node.inbox.mu.Lock()
		node.inbox.limit = 1
		node.inbox.mu.Unlock()
		w.say(slices.Concat(
			hostile.Frame(hostile.More, hostile.Plain(hostile.KindWhisper, 2)), hostile.Frame(0, []byte("waits for room")),
			zmtp.AppendFrame(nil, 0, zre.AppendVote(nil, zre.KindLeader, 3, "G", hexID(leads))),
		))
		synctest.Wait()
		pr.mu.Lock()
		pr.remove(pr.peers[leads], "it has left")
		pr.mu.Unlock()
		for left := false; ; {
			synctest.Wait()
			var ev Event
			if !node.inbox.pop(&ev) {
				if !left {
					t.Error("no Exit")
				}
				return
			}
			left = left || ev.Kind == Exit && ev.Peer == leads
			if left && ev.Kind == Leader && ev.Peer == leads {
				t.Error("LEADER of a peer behind its EXIT")
			}
		}
	})
}
