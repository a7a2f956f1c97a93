// Report turns the measurements of integration/bench.sh, read from standard input, into
// docs/benchmarks.md. It also reports missed targets on standard error. Given the
// README's name it writes the rows there.
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
