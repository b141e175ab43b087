package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
)

// Measures of the picture, in pixels.
const (
	panelWidth = 620
	barHeight  = 18
	barStep    = 24
	titleRoom  = 34
	labelRoom  = 80  // left of the bars
	valueRoom  = 210 // right of the longest bar
	margin     = 20
)

// barColors of the drivers.
var barColors = map[string]string{
	"fallback":  "#0072b2",
	"cgo":       "#56b4e9",
	libzyreName: "#e69f00",
	libzmqName:  "#cc79a7",
	tcpName:     "#999999",
}

// picture is an SVG in the making.
type picture struct {
	body bytes.Buffer
	y    int
}

// writeChart draws the report as SVG: a panel for each figure, a bar for each
// driver, the longest as long as the panel.
func (r *report) writeChart(out io.Writer) error {
	p := &picture{y: margin}
	p.text(margin, p.y+12, "title", fmt.Sprintf("Median of %d rounds, thin line: least to most", r.rounds))
	p.text(margin, p.y+30, "small", r.machine.cpu+", "+r.machine.kernel)
	p.y += 44
	for _, row := range r.rows() {
		p.panel(&row)
	}
	width, height := panelWidth+2*margin, p.y+margin
	_, err := fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">
<style>text{font:13px sans-serif;fill:#222}.title{font-weight:bold}.small{font-size:11px;fill:#555}.name{text-anchor:end}</style>
<rect width="100%%" height="100%%" fill="#fff"/>
%s</svg>
`, width, height, width, height, p.body.String())
	return err
}

func (p *picture) panel(w *row) {
	longest := 0.0
	for _, e := range w.entries {
		longest = max(longest, e.max)
	}
	if longest == 0 {
		return
	}
	direction := "less is better"
	if w.metric.moreIsBetter() {
		direction = "more is better"
	}
	p.text(margin, p.y+18, "title", w.metric.title(w.load))
	p.text(margin, p.y+31, "small", direction)
	p.y += titleRoom + 4
	scale := float64(panelWidth-labelRoom-valueRoom) / longest
	for _, e := range w.entries {
		if e.rounds > 0 {
			p.bar(w, e, scale)
		}
	}
	p.y += 12
}

func (p *picture) bar(w *row, e entry, scale float64) {
	left := margin + labelRoom
	middle := p.y + barHeight/2
	at := func(value float64) float64 { return float64(left) + value*scale }
	p.text(left-8, middle+4, "name", displayName(e.driver))
	fmt.Fprintf(&p.body, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n",
		left, p.y, max(1, e.median*scale), barHeight, barColors[e.driver])
	fmt.Fprintf(&p.body, `<path d="M%.1f %dH%.1f" stroke="#222"/>`+"\n", at(e.min), middle, at(e.max))
	label := w.metric.format(e.median, w.load)
	if ratio, ok := w.ratio(e, libzyreName); ok && e.driver != libzyreName {
		label += fmt.Sprintf("  (%.3g × libzyre)", ratio)
	}
	p.text(int(at(max(e.median, e.max)))+8, middle+4, "small", label)
	p.y += barStep
}

// displayName is what readers know a driver by.
func displayName(driver string) string {
	switch driver {
	case libzyreName:
		return "libzyre (C)"
	case "cgo":
		return "zyre, cgo"
	case "fallback":
		return "zyre, Go"
	case tcpName:
		return "raw TCP"
	}
	return driver
}

func (p *picture) text(x, y int, class, s string) {
	fmt.Fprintf(&p.body, `<text x="%d" y="%d" class="%s">`, x, y, class)
	_ = xml.EscapeText(&p.body, []byte(s)) // a buffer takes all
	p.body.WriteString("</text>\n")
}
