package gossip

import "time"

const (
	maxTuples = 2048 // as many as a node takes for peers

	again    = 2 * time.Second // between two deliveries of the tuple of a lost node
	keepLost = 5 * time.Minute // after which it is forgotten

	// The value of a key may change so often within so short a time. Nodes
	// do not do that at all; and in a ring of hubs an old value that comes
	// the long way round must not follow the new one for ever.
	maxChanges = 4
	settleTime = 2 * time.Second
)

// table is the tuples that are known.
type table map[string]*entry

type entry struct {
	value  string // empty: withdrawn by this node itself
	own    bool
	former []former

	// Of a node that is gone. As long as nobody else has told of it since,
	// nobody else is told: else tuples of the dead would go round for ever.
	lost     time.Time // since when; zero: it is not
	withheld bool
	tries    int       // how often it was looked for since
	next     time.Time // when it is again
	found    bool      // it was there, ever
}

// former is a value that an entry had.
type former struct {
	value string
	until time.Time
}

// told tells whether others are to be told of an entry.
func (e *entry) told() bool { return e.value != "" && !e.withheld }

// learn takes a tuple from somebody else. news tells whether others are to
// hear of it, and ok whether it is in the table at all.
func (tb table) learn(t tuple, now time.Time) (news, ok bool) {
	e := tb[t.key]
	switch {
	case e == nil:
		return true, tb.insert(t)
	case e.own:
		return false, false
	case e.value != t.value:
		if !e.change(t.value, now) {
			return false, false
		}
		return true, true
	case e.withheld:
		e.lost, e.withheld = now, false
		return true, true
	}
	return false, true
}

// insert adds a tuple, where there is no room in place of one of a lost node.
func (tb table) insert(t tuple) bool {
	if len(tb) >= maxTuples && !tb.evict() {
		return false
	}
	tb[t.key] = &entry{value: t.value}
	return true
}

// evict makes room. It looks at a few tuples only, from a random one on: in a
// flood most are of nodes that never were, and it is called for each of them.
func (tb table) evict() bool {
	tries := maxTuples / 32
	for key, e := range tb {
		if !e.lost.IsZero() {
			delete(tb, key)
			return true
		}
		if tries--; tries == 0 {
			break
		}
	}
	return false
}

// change gives an entry another value, unless it had that a moment ago or
// changes too often.
func (e *entry) change(value string, now time.Time) bool {
	for len(e.former) > 0 && now.Sub(e.former[0].until) > settleTime {
		e.former = e.former[1:]
	}
	if len(e.former) >= maxChanges {
		return false
	}
	for _, f := range e.former {
		if f.value == value {
			return false
		}
	}
	*e = entry{value: value, former: append(e.former, former{e.value, now})}
	return true
}

// withdraw takes a tuple out. Of the own ones a trace is left, so that their
// echo is not taken for news.
func (tb table) withdraw(key string) {
	if e := tb[key]; e != nil && e.own {
		e.value = ""
		return
	}
	delete(tb, key)
}

// lose takes note that a node is gone.
func (tb table) lose(key string, now time.Time) {
	e := tb[key]
	if e == nil || e.own {
		return
	}
	if e.lost.IsZero() {
		e.lost = now
	}
	e.withheld = true
}

// find takes note that a node is there.
func (tb table) find(key string) {
	if e := tb[key]; e != nil {
		e.lost, e.withheld, e.found, e.tries = time.Time{}, false, true, 0
	}
}

// missing returns the tuples of lost nodes, and forgets those that have been
// lost for long.
func (tb table) missing(now time.Time) (all []tuple) {
	for key, e := range tb {
		switch {
		case e.lost.IsZero():
		case now.Sub(e.lost) > keepLost:
			delete(tb, key)
		case e.due(now):
			all = append(all, tuple{key, e.value})
		}
	}
	return all
}

// due tells whether a lost node is to be looked for now. One that never was
// there is most likely made up, and looked for ever more rarely.
func (e *entry) due(now time.Time) bool {
	if e.found {
		return true
	}
	if now.Before(e.next) {
		return false
	}
	e.tries++
	e.next = now.Add(again << min(2*e.tries, 16))
	return true
}
