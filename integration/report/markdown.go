package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// preface says how to read the tables.
const preface = `# Benchmarks

Made by %smake bench%s, which runs in some minutes on anyone's machine and writes this page. Do not edit it.

| | |
|---|---|
`

// busy is the load at or above which the page says that the machine was busy.
const busy = 1

const method = `
Ours and theirs run alternately in one run, in at least five pairs, each first in every other pair, both compiled on this machine (gcc -O2), each as separate
processes. A ratio is that of a pair; the tables show the median and the extremes of the ratios. Absolute times, in the last column, are medians too, and
say nothing about another machine.
`

const chart = `
## gshm bench

How fast this machine passes messages between two processes in each way, as measured by %[1]sgshm bench%[1]s:

![round trips and rates by the size of the messages](benchmarks.svg)
`

// write writes the page and returns the missed targets.
func write(w io.Writer, r run) (missed []string) {
	fmt.Fprintf(w, preface, "`", "`")
	for _, fact := range []string{"processor", "memory", "system", "go", "compiler", "date", "load-before", "load-after"} {
		value := r.facts[fact]
		if value == "" {
			value = "not known"
		}
		fmt.Fprintf(w, "| %s | %s |\n", strings.ReplaceAll(fact, "-", " "), value)
	}
	fmt.Fprint(w, method)
	if load, err := strconv.ParseFloat(strings.SplitN(r.facts["load-before"], " ", 2)[0], 64); err == nil && load >= busy {
		fmt.Fprintf(w, "\n**The machine was busy with other work (load %v before): the spread is large, and what needs both processors at once suffers most.**\n", load)
	}
	for _, s := range sections() {
		missed = append(missed, s.write(w, r)...)
	}
	fmt.Fprintf(w, chart, "`")
	return missed
}

func (s section) write(w io.Writer, r run) (missed []string) {
	fmt.Fprintf(w, "\n## %s\n\n%s\n\n", s.title, s.text)
	ratio := s.claims[0].compared != ""
	columns := append([]string{"work"}, s.headings[:]...)
	if ratio {
		columns = append([]string{"work", "ratio"}, append(s.headings[:], "ours / theirs")...)
	}
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	var notes []string
	for _, c := range s.claims {
		m := r.metrics[c.name]
		cells := []string{c.work}
		if ratio {
			cells = append(cells, c.compared)
		}
		for _, metric := range s.metrics {
			cells = append(cells, number(m, metric))
		}
		if ratio {
			cells = append(cells, absolute(m))
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
		about := c.work
		if ratio {
			about += ", " + c.compared
		}
		if all := r.ratios[c.name]; c.modes && all != "" {
			notes = append(notes, fmt.Sprintf("%s: the ratios of all pairs are %s.", about, strings.ReplaceAll(strings.Trim(all, "[]"), " ", ", ")))
		}
		if aim := c.mark.missedBy(m, s.metrics[0]); aim != "" {
			missed = append(missed, about+": "+aim)
			why := c.why
			if aim == notMeasured {
				why = c.needs
			}
			notes = append(notes, strings.TrimSpace(about+": "+aim+". "+why))
		}
	}
	for i, note := range notes {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "- %s\n", note)
	}
	return missed
}

// number formats a metric with three digits.
func number(m map[string]float64, metric string) string {
	v, ok := m[metric]
	if !ok {
		return "-"
	}
	if v >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// absolute returns a benchmark's absolute figures.
func absolute(m map[string]float64) string {
	for _, unit := range []struct{ ours, theirs, name string }{
		{"ours-ns", "theirs-ns", "ns"},
		{"M/s-ours", "M/s-theirs", "M/s"},
		{"GB/s-ours", "GB/s-theirs", "GB/s"},
	} {
		if _, ok := m[unit.ours]; ok {
			return fmt.Sprintf("%s / %s %s", number(m, unit.ours), number(m, unit.theirs), unit.name)
		}
	}
	if _, ok := m["MB-memory"]; ok {
		return fmt.Sprintf("memory %+.1f MB", m["MB-memory"])
	}
	return ""
}

const notMeasured = "not measured"

// missedBy returns the target if it was missed, otherwise "".
func (k mark) missedBy(m map[string]float64, median string) string {
	metric := k.of
	if metric == "" {
		metric = median
	}
	got, ok := m[metric]
	switch {
	case !ok:
		return notMeasured
	case k.least > 0 && got < k.least:
		return fmt.Sprintf("%s; the target is at least %v", number(m, metric), k.least)
	case k.most > 0 && got > k.most:
		return fmt.Sprintf("%s; the target is at most %v", number(m, metric), k.most)
	}
	return ""
}
