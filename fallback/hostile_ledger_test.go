//go:build linux

package fallback

import (
	"fmt"
	"strings"
	"sync"

	"github.com/gozyre/zyre/internal/hostile"
)

// cost is what an attack has done to the victim.
type cost struct {
	before, after figures
	peak          int // of resident memory, over that before
}

func (c cost) String() string {
	return fmt.Sprintf("%.1f | %+.1f | %d → %d | %d → %d", mebibytes(c.peak), mebibytes(c.after.Resident-c.before.Resident),
		c.before.Goroutines, c.after.Goroutines, c.before.Descriptors, c.after.Descriptors)
}

// ledger collects the costs for the table in the documentation.
type ledger struct{ chapters []*chapter }

type chapter struct {
	title string
	mu    sync.Mutex
	rows  []string
}

func (l *ledger) chapter(title string, rows int) *chapter {
	c := &chapter{title: title, rows: make([]string, 0, rows)}
	l.chapters = append(l.chapters, c)
	return c
}

func (c *chapter) note(cost cost, attacks ...hostile.Attack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range attacks {
		c.rows = append(c.rows, fmt.Sprintf("| %s | %s | %s | %v |", a.Name, a.Does, a.Answer, cost))
	}
}

func mebibytes(n int) float64 { return float64(n) / (1 << 20) }

// The figures are between these lines of the document.
const (
	figuresBegin = "<!-- figures: written by go test ./fallback -run TestHostile -robustness -->"
	figuresEnd   = "<!-- end of figures -->"
)

// publish puts the figures into a document.
func (l *ledger) publish(file string) error {
	var b strings.Builder
	for _, c := range l.chapters {
		fmt.Fprintf(&b, "\n### %s\n\n", c.title)
		b.WriteString("| attack | what it does | answer | peak MiB | MiB after | goroutines | descriptors |\n|---|---|---|--:|--:|--:|--:|\n")
		b.WriteString(strings.Join(c.rows, "\n") + "\n")
	}
	return hostile.Publish(file, figuresBegin, b.String(), figuresEnd)
}
