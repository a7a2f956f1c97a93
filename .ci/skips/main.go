// Skips prints the events of go test -json like go test, and at the end which tests were
// skipped, and why. Its argument is a file of accepted reasons, a regular expression on
// each line. It fails if a test failed, or was skipped for a reason that is not accepted.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go test -json PACKAGE... | skips FILE")
		os.Exit(2)
	}
	accepted, err := reasons(os.Args[1])
	if err == nil {
		err = report(os.Stdin, accepted)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "skips:", err)
		os.Exit(1)
	}
}

// reasons reads regular expressions from a file, in which # begins a comment line.
func reasons(name string) (all []*regexp.Regexp, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		re, err := regexp.Compile("^(?:" + line + ")$")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, re)
	}
	return all, nil
}

// An event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
}

// A run is what the events have shown so far.
type run struct {
	output  map[string][]string // by package or test, until it ends
	skipped map[string][]string // names of tests, by the reason for skipping them
	failed  int
}

func report(r io.Reader, accepted []*regexp.Regexp) error {
	run := run{output: make(map[string][]string), skipped: make(map[string][]string)}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Println(lines.Text()) // from a compiler, or from integration/qemu.sh
			if reason, ok := strings.CutPrefix(lines.Text(), whole); ok {
				run.skip("all", reason)
			}
			continue
		}
		run.take(e)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	refused := run.show(accepted)
	switch {
	case run.failed > 0:
		return fmt.Errorf("%d failed", run.failed)
	case refused > 0:
		return fmt.Errorf("%d skipped without need: install what they need, or add the reason to %s", refused, os.Args[1])
	}
	return nil
}

// whole begins the message of a package that skips all its tests; see internal/ipctest.
const whole = "SKIPPED: "

func (r *run) take(e event) {
	name := e.Package
	if e.Test != "" {
		name += " " + e.Test
	}
	switch e.Action {
	case "output", "build-output":
		r.output[name] = append(r.output[name], e.Output)
		if reason, ok := strings.CutPrefix(e.Output, whole); ok && e.Test == "" {
			r.skip(name, strings.TrimSpace(reason))
		}
		if e.Action == "build-output" {
			fmt.Print(e.Output)
		}
	case "skip":
		if e.Test != "" { // a package without tests is skipped too
			r.skip(name, why(r.output[name]))
		}
		delete(r.output, name)
	case "fail":
		r.failed++
		if e.Test == "" {
			r.showUnfinished(e.Package)
		}
		fmt.Print(strings.Join(r.output[name], ""))
		delete(r.output, name)
	case "pass":
		if e.Test == "" {
			fmt.Print(last(r.output[name]))
		}
		delete(r.output, name)
	}
}

// showUnfinished prints the output of tests that did not end, because the package took
// too long or its process died.
func (r *run) showUnfinished(pkg string) {
	for _, name := range slices.Sorted(maps.Keys(r.output)) {
		if strings.HasPrefix(name, pkg+" ") {
			fmt.Print(strings.Join(r.output[name], ""))
			delete(r.output, name)
		}
	}
}

func (r *run) skip(name, reason string) { r.skipped[reason] = append(r.skipped[reason], name) }

// last returns the last line of a package, which says whether it is ok.
func last(output []string) string {
	if len(output) == 0 {
		return ""
	}
	return output[len(output)-1]
}

// why finds the reason in a test's output.
func why(output []string) string {
	place := regexp.MustCompile(`^\s+\S+\.go:\d+: (?:SKIPPED: )?(.*)\n$`)
	for _, line := range slices.Backward(output) {
		if found := place.FindStringSubmatch(line); found != nil {
			return found[1]
		}
	}
	return "no reason given"
}

// show prints what was skipped and returns the number of reasons that are not accepted.
func (r *run) show(accepted []*regexp.Regexp) (refused int) {
	for _, reason := range slices.Sorted(maps.Keys(r.skipped)) {
		verdict := "skipped"
		if !slices.ContainsFunc(accepted, func(re *regexp.Regexp) bool { return re.MatchString(reason) }) {
			verdict = "SKIPPED WITHOUT NEED"
			refused++
		}
		tests := r.skipped[reason]
		fmt.Printf("%s: %s (%d: %s)\n", verdict, reason, len(tests), shortened(tests))
	}
	return refused
}

// shortened returns at most a few of the names.
func shortened(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:few], ", ") + ", ..."
}
