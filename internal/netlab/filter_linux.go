package netlab

import (
	"fmt"
	"math"
	"strings"
)

// Loss and partitions are classic BPF programs at the host's port of the
// bridge, because netem, which is usual for loss, is not in every kernel. See
// the kernel's Documentation/networking/filter.rst for the instructions.
const (
	loadByte    = 0x30 // BPF_LD | BPF_B | BPF_ABS
	loadWord    = 0x20 // BPF_LD | BPF_W | BPF_ABS
	jumpEqual   = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
	jumpAtLeast = 0x35 // BPF_JMP | BPF_JGE | BPF_K
	ret         = 0x06 // BPF_RET | BPF_K

	offsetRandom    = 0xfffff000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM: a random word
	offsetSourceMAC = 6

	verdictPass = 0xffffffff // TC_ACT_UNSPEC: go on
	verdictDrop = 2          // TC_ACT_SHOT
)

// instruction is one of classic BPF, in the numbers that tc takes.
type instruction struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

// filter puts the host's losses and partitions into effect. Those who left
// the network cannot be cut off from it any more.
func (h *Host) filter() error {
	if h.vanished {
		return nil
	}
	if err := h.install("egress", program(h.loss, h.refused)); err != nil { // to the host
		return err
	}
	return h.install("ingress", program(h.loss, nil)) // from the host
}

func (h *Host) install(direction string, code []instruction) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", len(code))
	for _, i := range code {
		fmt.Fprintf(&b, ",%d %d %d %d", i.code, i.jt, i.jf, i.k)
	}
	return h.lab.bridge.exec("tc", "filter", "replace", "dev", h.port(), direction,
		"pref", "1", "handle", "1", "protocol", "all", "bpf", "direct-action", "bytecode", b.String())
}

// program drops what some hosts sent, and a percentage of the rest.
func program(loss int, refused []*Host) []instruction {
	drop := instruction{code: ret, k: verdictDrop}
	code := []instruction{{code: loadByte, k: offsetSourceMAC + 5}}
	for _, h := range refused {
		code = append(code, instruction{code: jumpEqual, jf: 1, k: uint32(h.number)}, drop)
	}
	if loss >= 100 {
		return append(code, drop)
	}
	if loss > 0 {
		threshold := uint32(uint64(math.MaxUint32) * uint64(loss) / 100)
		code = append(code,
			instruction{code: loadWord, k: offsetRandom},
			instruction{code: jumpAtLeast, jt: 1, k: threshold}, drop)
	}
	return append(code, instruction{code: ret, k: verdictPass})
}
