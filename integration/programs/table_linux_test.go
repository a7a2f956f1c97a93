package programs_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const top = `# What gipcs says of real programs

` + "`make programs`" + ` writes this page. It starts each program as its Debian package does, in IPC, mount and network namespaces of its own, beside
a program of another user whose objects must stay. It looks at the program while requests are made (busy), when none are made (resting) and
after workers have been replaced (recycled), runs ` + "`gipcs rm --orphans --yes`" + ` each time, and makes another request. Then it kills all
processes of the program with SIGKILL, runs ` + "`gipcs rm --orphans --yes`" + ` again, and starts the program once more.

The columns busy, resting and recycled list the verdicts of the program's objects; a dash stands for a program that has no workers to replace.
Found is the share of the objects left by SIGKILL that ` + "`rm --orphans`" + ` removed.

| program | packages | objects | busy | resting | recycled | after SIGKILL | found | starts again |
|---|---|---|---|---|---|---|---|---|
`

// writeTable writes the page, unless a program did not run to its end.
func writeTable(t *testing.T, file string, programs []program, results []*result) {
	t.Helper()
	page := bytes.NewBufferString(top)
	var misses []string
	orphans, found, left := 0, 0, 0
	for i, r := range results {
		if r == nil {
			t.Errorf("no page: %s did not run to its end", programs[i].name)
			return
		}
		fmt.Fprintf(page, "| %s | %s | %s |", programs[i].name, programs[i].packages, r.objects)
		for state := range states {
			slices.Sort(r.verdicts[state])
			fmt.Fprintf(page, " %s |", dash(strings.Join(r.verdicts[state], ", ")))
			orphans += len(r.orphans[state])
		}
		fmt.Fprintf(page, " %s | %s | yes |\n", dash(count(r.left).String()), share(r.found, len(r.left)))
		found += r.found
		left += len(r.left)
		for _, x := range r.missed {
			misses = append(misses, fmt.Sprintf("- %s: a %s stays, which is %s.\n", programs[i].name, x.Kind, x.Verdict))
		}
	}
	fmt.Fprintf(page, "\nObjects of live programs that were called orphans: %d. Found of what was left: %s.\n", orphans, share(found, left))
	if len(misses) > 0 {
		fmt.Fprintf(page, "\nNot found:\n\n%s", strings.Join(slices.Compact(misses), ""))
	}
	if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
		t.Error(err)
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func count(objects []object) counts {
	c := counts{}
	for _, x := range objects {
		c[x.Kind]++
	}
	return c
}

func share(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", part, whole)
}
