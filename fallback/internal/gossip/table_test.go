package gossip

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// value returns what the table has for a key.
func (tb table) value(key string) string {
	if e := tb[key]; e != nil {
		return e.value
	}
	return ""
}

// expect lets the table learn a value and compares what comes of it.
func (tb table) expect(t *testing.T, value string, now time.Time, news, ok bool) {
	t.Helper()
	gotNews, gotOK := tb.learn(tuple{someKey, value}, now)
	if gotOK != ok || gotOK && gotNews != news {
		t.Errorf("%s: news %v, ok %v", value, gotNews, gotOK)
	}
}

func TestNewOnce(t *testing.T) {
	tb := table{}
	tb.expect(t, "a", noon, true, true)
	tb.expect(t, "a", noon, false, true)
}

func TestFormerValueDoesNotComeBackAtOnce(t *testing.T) {
	tb := table{}
	tb.expect(t, "a", noon, true, true)
	tb.expect(t, "b", noon, true, true)
	tb.expect(t, "a", noon.Add(settleTime), false, false)
	if got := tb.value(someKey); got != "b" {
		t.Error(got)
	}
	tb.expect(t, "a", noon.Add(settleTime+1), true, true)
}

func TestFewChangesInAShortTime(t *testing.T) {
	tb := table{}
	changes := 0
	for i := range 100 {
		if _, ok := tb.learn(tuple{someKey, valueOf(i)}, noon); ok {
			changes++
		}
	}
	if want := 1 + maxChanges; changes != want {
		t.Errorf("%d values at once, want %d", changes, want)
	}
	tb.expect(t, "x", noon.Add(settleTime+1), true, true)
}

func TestLostIsWithheldUntilSomebodyTells(t *testing.T) {
	tb := table{}
	tb.expect(t, "a", noon, true, true)
	tb.lose(someKey, noon)
	if tb[someKey].told() {
		t.Error("a lost tuple is told to others")
	}
	tb.expect(t, "a", noon, true, true)
	tb.expect(t, "a", noon, false, true)
	if !tb[someKey].told() {
		t.Error("it is not told though somebody has told of it")
	}
	if got := tb.missing(noon); len(got) != 1 || got[0] != (tuple{someKey, "a"}) {
		t.Errorf("it is not looked for any more: %v", got)
	}
	tb.find(someKey)
	if got := tb.missing(noon.Add(2 * keepLost)); len(got) != 0 || tb.value(someKey) != "a" {
		t.Errorf("found, but %v", got)
	}
}

// A node that never was there is looked for a few times only.
func TestMadeUpIsLookedForRarely(t *testing.T) {
	tb := table{}
	tb.expect(t, "a", noon, true, true)
	tb.lose(someKey, noon)
	times := 0
	for ago := time.Duration(0); ago <= keepLost; ago += again {
		times += len(tb.missing(noon.Add(ago)))
		tb.lose(someKey, noon.Add(ago))
	}
	if times < 3 || times > 5 {
		t.Errorf("looked for %d times", times)
	}
}

func TestLostIsForgotten(t *testing.T) {
	tb := table{}
	tb.expect(t, "a", noon, true, true)
	tb.find(someKey)
	for ago := time.Duration(0); ago <= keepLost; ago += keepLost / 4 {
		tb.lose(someKey, noon.Add(ago)) // every attempt to reach it fails
		if got := tb.missing(noon.Add(ago)); len(got) != 1 {
			t.Errorf("after %v: %v", ago, got)
		}
	}
	if got := tb.missing(noon.Add(keepLost + 1)); len(got) != 0 || len(tb) != 0 {
		t.Errorf("not forgotten: %v", got)
	}
	tb.expect(t, "a", noon.Add(2*keepLost), true, true)
}

func TestChangedValueOfALostNode(t *testing.T) {
	tb := table{}
	tb.expect(t, "a", noon, true, true)
	tb.lose(someKey, noon)
	tb.expect(t, "b", noon, true, true)
	if got := tb.missing(noon); len(got) != 0 || !tb[someKey].told() {
		t.Errorf("with a new value it is lost: %v", got)
	}
}

func TestFullTable(t *testing.T) {
	tb := table{}
	for i := range maxTuples + 100 {
		_, ok := tb.learn(tuple{keyOf(i), valueOf(i)}, noon)
		if ok != (i < maxTuples) {
			t.Fatalf("tuple %d: %v", i, ok)
		}
	}
	for i := range maxTuples / 2 {
		tb.lose(keyOf(2*i), noon)
	}
	for i := range 100 {
		if _, ok := tb.learn(tuple{keyOf(maxTuples + i), valueOf(0)}, noon); !ok {
			t.Error("lost nodes make no room")
		}
	}
	alive := 0
	for i := range maxTuples / 2 {
		if tb[keyOf(2*i+1)] != nil {
			alive++
		}
	}
	if alive != maxTuples/2 || len(tb) != maxTuples {
		t.Errorf("%d tuples, %d of the nodes that are not lost", len(tb), alive)
	}
}

func TestOwnTuplesAreOurs(t *testing.T) {
	tb := table{someKey: {value: "a", own: true}}
	tb.expect(t, "b", noon, false, false)
	tb.expect(t, "a", noon, false, false)
	tb.lose(someKey, noon)
	if !tb[someKey].told() || tb.value(someKey) != "a" {
		t.Error("changed by others")
	}
	tb.withdraw(someKey)
	tb.expect(t, "a", noon, false, false)
	if tb[someKey].told() {
		t.Error("withdrawn, and told nevertheless")
	}
}

func TestUnknownKeys(t *testing.T) {
	tb := table{}
	tb.lose(someKey, noon)
	tb.find(someKey)
	tb.withdraw(someKey)
	if len(tb) != 0 || len(tb.missing(noon)) != 0 {
		t.Error(tb)
	}
}
