package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const printed = `:: processor some, 2 of them
:: load-before 0.00 0.01 0.02

== ./semops Peer
pkg: github.com/sysvipc/gipc/semops
cpu: some
BenchmarkPeer/pv-2         	       1	       916.0 ours-ns	         1.034 ratio	         1.2 ratio-max	         1.019 ratio-min	       817.2 theirs-ns
BenchmarkPeer/pingpong/cross-16  	       1	      1972 ours-ns	        4.83 ratio	        27.5 ratio-max	         2.5 ratio-min	     42722 theirs-ns
pkg: github.com/sysvipc/gipc/shmring
BenchmarkStreamAgainstMemcpy-2   	       1	        34.9 GB/s-ours	         45.3 GB/s-theirs	        0.799 ratio	        0.895 ratio-max	        0.435 ratio-min
--- BENCH: BenchmarkStreamAgainstMemcpy-2
    bench_linux_test.go:139: ratios [0.435 0.799 0.895]
pkg: github.com/sysvipc/gipc/cmd/internal/utillinux
 32000 objects  ipcs -m                                 median 0.091  min 0.081  max 0.108  memory  +1.5 MB
 32000 objects  gipcs rm shm:ID... / C                  median 1.366  min 1.129  max 1.496
BenchmarkListing32000-2      	       1
pkg: github.com/sysvipc/gipc/integration
BenchmarkCancel/Cond-2    	      1	 9147 us-max	 55.8 us-p50	 2028 us-p99
SKIPPED: something
`

func TestParse(t *testing.T) {
	got, err := parse(strings.NewReader(printed))
	if err != nil {
		t.Fatal(err)
	}
	want := run{
		facts: map[string]string{"processor": "some, 2 of them", "load-before": "0.00 0.01 0.02"},
		metrics: map[string]map[string]float64{
			"semops Peer/pv":                                      {"ours-ns": 916, "theirs-ns": 817.2, "ratio": 1.034, "ratio-min": 1.019, "ratio-max": 1.2},
			"semops Peer/pingpong/cross":                          {"ours-ns": 1972, "theirs-ns": 42722, "ratio": 4.83, "ratio-min": 2.5, "ratio-max": 27.5},
			"shmring StreamAgainstMemcpy":                         {"GB/s-ours": 34.9, "GB/s-theirs": 45.3, "ratio": 0.799, "ratio-min": 0.435, "ratio-max": 0.895},
			"cmd/internal/utillinux 32000 ipcs -m":                {"ratio": 0.091, "ratio-min": 0.081, "ratio-max": 0.108, "MB-memory": 1.5},
			"cmd/internal/utillinux 32000 gipcs rm shm:ID... / C": {"ratio": 1.366, "ratio-min": 1.129, "ratio-max": 1.496},
			"cmd/internal/utillinux Listing32000":                 {},
			"integration Cancel/Cond":                             {"us-p50": 55.8, "us-p99": 2028, "us-max": 9147},
		},
		ratios: map[string]string{"shmring StreamAgainstMemcpy": "[0.435 0.799 0.895]"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(run{})); diff != "" {
		t.Error(diff)
	}
}

func TestWrite(t *testing.T) {
	r, err := parse(strings.NewReader(printed))
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	missed := write(&page, r)
	for _, want := range []string{
		"| processor | some, 2 of them |",
		"| go | not known |",
		"| P and V, uncontended | Go / C | 1.03 | 1.02 | 1.2 | 916 / 817 ns |",
		"| ping-pong across cores | C / Go | 4.83 | 2.5 | 27.5 | 1972 / 42722 ns |",
		"| 4 GiB stream, copied in and out | ours / memcpy | 0.799 | 0.435 | 0.895 | 34.9 / 45.3 GB/s |",
		"- 4 GiB stream, copied in and out, ours / memcpy: the ratios of all pairs are 0.435, 0.799, 0.895.",
		"| 32000 objects: ipcs -m | ours / ipcs -m | 0.091 | 0.081 | 0.108 | memory +1.5 MB |",
		"| Cond | 55.8 | 2028 | 9147 |",
		"| 256 B messages, four producers | ours / msgsnd and msgrcv in C with four | - | - | - |  |",
	} {
		if !strings.Contains(page.String(), want+"\n") {
			t.Errorf("the page lacks %s", want)
		}
	}
	for line, want := range map[string]bool{
		"P and V, uncontended, Go / C":                                                          false,
		"ping-pong across cores, C / Go: 4.83; the target is at least 15":                       true,
		"Cond: 2028; the target is at most 2000":                                                true,
		"32000 objects: gipcs rm shm:ID..., ours / C: 1.37; the target is at most 1.05":         true,
		"256 B messages, four producers, ours / msgsnd and msgrcv in C with four: not measured": true,
		"4 GiB stream, copied in and out, ours / memcpy":                                        false,
	} {
		if got := slices.ContainsFunc(missed, func(m string) bool { return strings.HasPrefix(m, line) }); got != want {
			t.Errorf("missed has %q: %v, want %v", line, got, want)
		}
	}
	if strings.Contains(page.String(), "**The machine was busy") {
		t.Error("a load of 0 is called busy")
	}
	if t.Failed() {
		t.Log(page.String())
	}
	page.Reset()
	r.facts["load-before"] = "2.50 1.00 1.00"
	if write(&page, r); !strings.Contains(page.String(), "busy with other work (load 2.5 before)") {
		t.Error("a load of 2.5 is not told")
	}
}

func TestWithRows(t *testing.T) {
	r, err := parse(strings.NewReader(printed))
	if err != nil {
		t.Fatal(err)
	}
	got, err := withRows("before\n"+rowsBegin+"old\n"+rowsEnd+"after\n", r)
	if err != nil {
		t.Fatal(err)
	}
	want := "before\n" + rowsBegin + `
| work | ratio | median | min | max |
|---|---|---|---|---|
| ping-pong across cores | C / Go | 4.83 | 2.5 | 27.5 |

` + rowsEnd + "after\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := withRows("before\n"+rowsEnd+rowsBegin, r); err == nil {
		t.Error("a text without marks was accepted")
	}
}

// TestReadme: the README's rows of benchmarks have the figures of docs/benchmarks.md.
func TestReadme(t *testing.T) {
	readme, page := read(t, "../../README.md"), read(t, "../../docs/benchmarks.md")
	_, rows, _ := strings.Cut(readme, rowsBegin)
	rows, _, found := strings.Cut(rows, rowsEnd)
	if !found {
		t.Fatal("the README has no rows of benchmarks")
	}
	for row := range strings.Lines(rows) {
		row = strings.TrimSpace(row)
		if !strings.HasPrefix(row, "| ") || strings.HasPrefix(row, "| work |") {
			continue
		}
		if !strings.Contains(page, "\n"+row) {
			t.Errorf("docs/benchmarks.md does not have %s", row)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSections: each claim has a distinct name, and each section is complete.
func TestSections(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range sections() {
		if s.title == "" || s.text == "" || len(s.claims) == 0 || slices.Contains(append(s.metrics[:], s.headings[:]...), "") {
			t.Errorf("section %q lacks something", s.title)
		}
		for _, c := range s.claims {
			if seen[c.name] || c.name == "" || (c.compared == "") != (s.claims[0].compared == "") {
				t.Errorf("%s, %q: duplicate name, or inconsistent with its section", s.title, c.name)
			}
			seen[c.name] = true
		}
	}
}
