package history

import "fmt"

// Ended is a life, and how it ended.
type Ended struct {
	*Life
	Fate Fate
}

// Check compares the lives of all nodes of a network, once nothing is sent
// any more, and returns what is wrong: nothing, if all went as it must. Of
// nodes that are not among them, such as those whose history died with their
// process, it is only demanded that nobody sees them at the end.
func Check(lives ...Ended) (faults []string) {
	all := map[ID]Ended{}
	for _, l := range lives {
		all[l.ID] = l
		for _, f := range l.Faults {
			faults = append(faults, fmt.Sprintf("%s %v: %s", l.Name, l.ID, f))
		}
	}
	for _, from := range lives {
		for _, to := range lives {
			if from.ID == to.ID || strangers(from, to) {
				continue
			}
			for _, f := range pair(from, to) {
				faults = append(faults, fmt.Sprintf("%s %v to %s %v: %s", from.Name, from.ID, to.Name, to.ID, f))
			}
		}
		for _, f := range ghosts(from, all) {
			faults = append(faults, fmt.Sprintf("%s %v: %s", from.Name, from.ID, f))
		}
	}
	return faults
}

// strangers tells whether two nodes never met, and need not have.
func strangers(a, b Ended) bool {
	return (a.Fate != Lives || b.Fate != Lives) && a.Peers[b.ID] == nil && b.Peers[a.ID] == nil
}

// pair checks what went from one node to another.
func pair(from, to Ended) (faults []string) {
	sent, got := from.Peer(to.ID), to.Peer(from.ID)
	last := [streams]uint64{Whisper: sent.Whispered, Shout: from.Shouted}
	for s := range streams {
		if got.Got[s].Last > last[s] {
			faults = append(faults, fmt.Sprintf("%v %d was received and never sent", s, got.Got[s].Last))
		}
		if lost, ok := got.Got[s].lacks(sent.Due[s]); ok && from.Fate != Died && to.Fate == Lives {
			faults = append(faults, fmt.Sprintf("%v %v was lost, and no exit told the sender", s, lost))
		}
	}
	if from.Fate != Lives || to.Fate != Lives {
		return faults
	}
	if !got.Present {
		faults = append(faults, "both live, and the second does not know the first")
	} else if got.Got[Whisper].Fresh == 0 {
		faults = append(faults, "no whisper was heard since the last enter")
	}
	return faults
}

// ghosts looks for peers that a node still knows and that have ended.
func ghosts(l Ended, all map[ID]Ended) (faults []string) {
	if l.Fate != Lives {
		return nil
	}
	for _, id := range l.View() {
		if other, ok := all[id]; !ok || other.Fate != Lives {
			faults = append(faults, fmt.Sprintf("%v is a ghost: it ended and has not exited", id))
		}
	}
	return faults
}

// Pending tells what Check would find to be missing between nodes that live,
// or returns "" once they all know each other and have what was sent: then
// the histories are complete and can be checked.
func Pending(lives ...*Life) string {
	for _, from := range lives {
		if n := len(from.View()); n != len(lives)-1 {
			return fmt.Sprintf("%s knows %d peers of %d", from.Name, n, len(lives)-1)
		}
		for _, to := range lives {
			if from.ID == to.ID {
				continue
			}
			for _, f := range pair(Ended{from, Lives}, Ended{to, Lives}) {
				return fmt.Sprintf("%s to %s: %s", from.Name, to.Name, f)
			}
		}
	}
	return ""
}
