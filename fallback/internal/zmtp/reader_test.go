package zmtp

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestKeptFramesStay: whatever is collected and used again meanwhile, a frame
// that somebody keeps does not change.
func TestKeptFramesStay(t *testing.T) {
	type kept struct {
		frame []byte
		sum   uint32
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	for len(stream) < 16<<20 {
		body := make([]byte, rng.IntN(1<<rng.IntN(20)))
		for i := 0; i < len(body); i += 64 {
			body[i] = byte(rng.Uint32())
		}
		stream = append(AppendHeader(stream, 0, len(body)), body...)
	}
	for range 4 {
		r := NewReader(bytes.NewReader(stream), 2<<20)
		ring := make([]kept, 64)
		for i := 0; ; {
			_, body, ok, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				if r.Fill() != nil {
					break
				}
				continue
			}
			r.Keep()
			old := &ring[i%len(ring)]
			if crc32.ChecksumIEEE(old.frame) != old.sum {
				t.Fatal("a kept frame has changed")
			}
			*old = kept{body, crc32.ChecksumIEEE(body)}
			if i++; i%128 == 0 {
				runtime.GC()
			}
		}
	}
}
