package main

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of the plot, in pixels.
const (
	labelWidth = 260
	plotWidth  = 520
	barHeight  = 14
	barGap     = 4
	groupGap   = 14
	topMargin  = 64
)

// series are the bars of a group.
var series = []struct {
	workload workload
	color    string
}{{newKeys, "#2f6f8f"}, {replays, "#d08c2f"}}

// svg plots the rates at the most connections, a group of bars for each server.
func (r *report) svg() string {
	all := r.connections()
	if len(all) == 0 {
		return `<svg xmlns="http://www.w3.org/2000/svg"/>` + "\n"
	}
	n := all[len(all)-1]
	most := 1.0
	for _, c := range r.Cells {
		if c.Connections == n {
			most = max(most, c.Rate)
		}
	}
	group := len(series)*(barHeight+barGap) + groupGap
	height := topMargin + len(r.Systems)*group + 10
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		labelWidth+plotWidth+80, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	fmt.Fprintf(&b, `<text x="10" y="22" font-size="15">Requests per second, %d connections, %d processors with the load</text>`+"\n", n, r.CPUs)
	for i, s := range series {
		x := labelWidth + i*120
		fmt.Fprintf(&b, `<rect x="%d" y="36" width="12" height="12" fill="%s"/><text x="%d" y="46">%s</text>`+"\n", x, s.color, x+18, s.workload)
	}
	for i, sys := range r.Systems {
		y := topMargin + i*group
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n",
			labelWidth-10, y+barHeight+barGap, html.EscapeString(sys.Name))
		for j, s := range series {
			rate := r.cell(sys.Name, s.workload, n).Rate
			width := plotWidth * rate / most
			top := y + j*(barHeight+barGap)
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d" font-size="11">%.0f</text>`+"\n",
				labelWidth, top, width, barHeight, s.color, labelWidth+width+6, top+barHeight-3, rate)
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}
