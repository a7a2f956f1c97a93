// Report makes docs/benchmarks.md of what integration/bench.sh has measured, read
// from standard input. What misses its mark is told on standard error too. With the
// name of the README it writes the rows of that.
package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	measured, err := parse(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	if len(os.Args) > 1 {
		if err := updateReadme(os.Args[1], measured); err != nil {
			fmt.Fprintln(os.Stderr, "report:", err)
			os.Exit(1)
		}
	}
	out := bufio.NewWriter(os.Stdout)
	for _, miss := range write(out, measured) {
		fmt.Fprintln(os.Stderr, "missed:", miss)
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}
