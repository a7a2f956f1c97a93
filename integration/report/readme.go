package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// This program writes the rows between these lines of the README.
const (
	rowsBegin = "<!-- make bench writes these rows -->\n"
	rowsEnd   = "<!-- end of the rows -->\n"
)

// updateReadme writes the measurements to the README.
func updateReadme(name string, r run) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	updated, err := withRows(string(text), r)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, []byte(updated), 0o644)
}

// withRows returns text with its rows replaced.
func withRows(text string, r run) (string, error) {
	before, rest, begins := strings.Cut(text, rowsBegin)
	_, after, ends := strings.Cut(rest, rowsEnd)
	if !begins || !ends {
		return "", errors.New("the marks around the rows are missing")
	}
	return before + rowsBegin + readmeRows(r) + rowsEnd + after, nil
}

// readmeRows returns the table of claims in the README.
func readmeRows(r run) string {
	var rows strings.Builder
	rows.WriteString("\n| work | ratio | median | min | max |\n|---|---|---|---|---|\n")
	for _, s := range sections() {
		for _, c := range s.claims {
			if m, ok := r.metrics[c.name]; ok && c.readme {
				fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s |\n", c.work, c.compared,
					number(m, s.metrics[0]), number(m, s.metrics[1]), number(m, s.metrics[2]))
			}
		}
	}
	rows.WriteString("\n")
	return rows.String()
}
