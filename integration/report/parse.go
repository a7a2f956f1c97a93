package main

import (
	"bufio"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// A run is the output of one run of bench.sh.
type run struct {
	facts   map[string]string             // about the machine: lines ":: NAME VALUE"
	metrics map[string]map[string]float64 // by "PACKAGE BENCHMARK" and unit
	ratios  map[string]string             // of all pairs, if they were printed
}

// listing matches a line of the benchmarks of cmd/internal/utillinux, which print more
// results than go test's own lines could name.
var listing = regexp.MustCompile(`^ *(\d+) objects  (.+?) +median (\S+) +min (\S+) +max (\S+)(?: +memory +(\S+) MB)?`)

// parse parses lines of go test -bench and of bench.sh, and skips all others.
func parse(in io.Reader) (run, error) {
	r := run{make(map[string]string), make(map[string]map[string]float64), make(map[string]string)}
	pkg, logged := "", ""
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "::" && len(fields) > 2:
			r.facts[fields[1]] = strings.Join(fields[2:], " ")
		case fields[0] == "pkg:" && len(fields) == 2:
			_, pkg, _ = strings.Cut(fields[1], "/gipc/")
		case fields[0] == "---" && len(fields) == 3:
			logged = pkg + " " + benchmarkName(fields[2])
		case strings.Contains(line, ": ratios ["):
			_, r.ratios[logged], _ = strings.Cut(line, ": ratios ")
		case strings.HasPrefix(line, "Benchmark"):
			r.add(pkg+" "+benchmarkName(fields[0]), fields[1:])
		default:
			if m := listing.FindStringSubmatch(line); m != nil {
				r.add("cmd/internal/utillinux "+m[1]+" "+m[2], []string{"1", m[3], "ratio", m[4], "ratio-min", m[5], "ratio-max", m[6], "MB-memory"})
			}
		}
	}
	return r, lines.Err()
}

// benchmarkName strips "Benchmark" and the number of processors from a name.
func benchmarkName(s string) string {
	s = strings.TrimPrefix(s, "Benchmark")
	if i := strings.LastIndexByte(s, '-'); i > 0 {
		if _, err := strconv.Atoi(s[i+1:]); err == nil {
			s = s[:i]
		}
	}
	return s
}

// add adds the metrics of a line: a count, then values and units.
func (r run) add(name string, fields []string) {
	metrics := make(map[string]float64)
	for i := 1; i+1 < len(fields); i += 2 {
		if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
			metrics[fields[i+1]] = v
		}
	}
	r.metrics[name] = metrics
}
