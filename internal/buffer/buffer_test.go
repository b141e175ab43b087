package buffer

import (
	"bytes"
	"runtime"
	"testing"
	"time"
)

func poolState() (owned, free int) {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	for _, f := range pool.free {
		free += len(f)
	}
	return pool.owned, free
}

// collect lets the collector give back what nobody refers to, until ok.
func collect(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		runtime.GC()
	}
}

// emptyPool lets go of the buffers of earlier tests.
func emptyPool(t *testing.T) {
	t.Helper()
	collect(t, "a buffer of an earlier test is in use", func() bool {
		pool.mu.Lock()
		pool.last = time.Time{}
		pool.mu.Unlock()
		trim()
		owned, _ := poolState()
		return owned == 0
	})
}

func TestBufferSizes(t *testing.T) {
	for size := 1; size <= 2*maxPooled; size += size/7 + 1 {
		for _, size := range []int{size - 1, size, size + 1} {
			c := classOf(size)
			if c < 0 {
				continue
			}
			if full := minPooled << c; c >= classes || full < size || full > size*4/3+1 {
				t.Errorf("%d bytes are of class %d", size, c)
			}
		}
	}
	for _, size := range []int{minPooled, 2 * minPooled, maxPooled} {
		if c := classOf(size); c < 0 || minPooled<<c != size {
			t.Errorf("%d bytes are of class %d", size, c)
		}
	}
	for _, size := range []int{1, minPooled, minPooled + 1, maxPooled - 1, maxPooled, maxPooled + 1} {
		if b := Get(size); len(b) != size || cap(b) < size {
			t.Errorf("a buffer of %d bytes has %d of %d", size, len(b), cap(b))
		}
	}
}

func TestBuffersComeBack(t *testing.T) {
	emptyPool(t)
	kept := Get(maxPooled)
	copy(kept, "kept")
	for range 3 {
		for range 8 {
			Get(maxPooled)[0] = 'x'
		}
		collect(t, "no buffer came back", func() bool { _, free := poolState(); return free >= 4 })
	}
	if !bytes.HasPrefix(kept, []byte("kept")) {
		t.Error("a buffer in use was used again")
	}
	runtime.KeepAlive(kept)
}

func TestPoolIsBounded(t *testing.T) {
	var held [][]byte
	for range 2 * poolLimit / maxPooled {
		held = append(held, Get(maxPooled))
	}
	if owned, _ := poolState(); owned > poolLimit {
		t.Errorf("%d bytes are of the pool", owned)
	}
	runtime.KeepAlive(held)
	clear(held)
	collect(t, "idle buffers are kept", func() bool {
		owned, free := poolState()
		return owned == 0 && free == 0
	})
}

// Free buffers of a size that was needed once make way for another.
func TestFreeBuffersMakeWay(t *testing.T) {
	emptyPool(t)
	var small [][]byte
	for b := Pooled(minPooled, true); b != nil; b = Pooled(minPooled, true) {
		small = append(small, b)
	}
	if Pooled(maxPooled, true) != nil {
		t.Fatal("there is room beside all that are in use")
	}
	for _, b := range small {
		GiveBack(b)
	}
	large := Pooled(maxPooled, true)
	if large == nil {
		t.Fatal("free buffers keep another size out")
	}
	owned, free := poolState()
	if owned > poolLimit || free != len(small)-maxPooled/minPooled {
		t.Errorf("%d bytes are of the pool, %d buffers are free", owned, free)
	}
	GiveBack(large)
}

func TestGiveBack(t *testing.T) {
	emptyPool(t)
	for _, size := range []int{minPooled, minPooled * 7 / 8, maxPooled} {
		b := Pooled(size, true)
		if b == nil {
			t.Fatalf("no buffer of %d bytes", size)
		}
		GiveBack(b[:10])
		again := Pooled(size, false)
		if again == nil || &again[0] != &b[0] {
			t.Fatalf("a buffer of %d bytes that was given back is not used again", size)
		}
		runtime.GC()
		var others [][]byte
		for b := Pooled(size, false); b != nil; b = Pooled(size, false) {
			if &b[0] == &again[0] {
				t.Fatalf("a buffer of %d bytes is free and in use", size)
			}
			others = append(others, b)
		}
		for _, b := range append(others, again) {
			GiveBack(b)
		}
	}
}

func TestGiveBackOfWhatIsNotOut(t *testing.T) {
	emptyPool(t)
	b := Pooled(minPooled, true)
	GiveBack(b[4:])   // a part of it
	GiveBack(b[:0:0]) // whose address is that of the whole
	GiveBack(make([]byte, minPooled))
	GiveBack(nil)
	if _, free := poolState(); free > 0 {
		t.Fatalf("%d buffers came back too many", free)
	}
	GiveBack(b)
	GiveBack(b)
	if _, free := poolState(); free != 1 {
		t.Fatalf("%d buffers came back, not 1", free)
	}
}
