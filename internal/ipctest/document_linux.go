package ipctest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Documents names the environment variable with the folder of documents on shared
// memory. The examples and the demo interoperate with the programs in them.
const Documents = "GIPC_TEST_DOCUMENTS"

// Document returns the program that a document in that folder prints: from the last
// line before mark that begins with first, to the next line equal to last. It skips the
// test if the variable is not set.
func Document(t testing.TB, first, mark, last string) string {
	t.Helper()
	folder := os.Getenv(Documents)
	if folder == "" {
		t.Skip("the documents' own programs: " + Documents + " does not name the folder that holds them")
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if program, ok := printed(string(text), first, mark, last); ok {
			return program
		}
	}
	t.Fatalf("no document in %s prints a program with %q", folder, mark)
	return ""
}

func printed(text, first, mark, last string) (program string, ok bool) {
	lines := strings.Split(text, "\n")
	at := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, mark) })
	if at < 0 {
		return "", false
	}
	begin := at
	for begin > 0 && !strings.HasPrefix(strings.TrimLeft(lines[begin], " "), first) {
		begin--
	}
	indent := lines[begin][:len(lines[begin])-len(strings.TrimLeft(lines[begin], " "))]
	var b strings.Builder
	for _, line := range lines[begin:] {
		line = strings.TrimPrefix(strings.TrimRight(line, "\r"), indent)
		if line == "```" {
			break
		}
		b.WriteString(line + "\n")
		if line == last && begin < at {
			break
		}
	}
	return b.String(), strings.Contains(b.String(), mark)
}
