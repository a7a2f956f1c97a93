// Chart draws the measurements of gshm bench as SVG:
//
//	gshm bench --json | go run . >bench.svg
//
// It is a separate module, so that the commands do not need its dependencies.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "usage: gshm bench --json | chart >FILE.svg")
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	results, err := read(in)
	if err != nil {
		return err
	}
	return draw(out, results)
}

// A result is an object that gshm bench prints; docs/json.md describes the fields. Fields
// that were not measured are nil.
type result struct {
	Way       string
	Cores     string
	Size      float64
	RoundTrip *float64 `json:"round_trip_us"`
	MB        *float64 `json:"mb_per_s"`
}

func read(in io.Reader) (results []result, err error) {
	if err := json.NewDecoder(in).Decode(&results); err != nil {
		return nil, fmt.Errorf("not the output of gshm bench --json: %w", err)
	}
	if len(results) == 0 {
		return nil, errors.New("there are no results")
	}
	for _, r := range results {
		if r.Way == "" || r.Size < 1 {
			return nil, fmt.Errorf("not a result of gshm bench, which has a way and a size: %+v", r)
		}
	}
	return results, nil
}
