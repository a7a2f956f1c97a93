package programs_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const top = `# What gipcs says of real programs

` + "`make programs`" + ` writes this page. It starts each program as its Debian package does, in IPC, mount and network namespaces of its own, beside
a program of another user whose objects must stay. It looks at the program while requests are made (busy), when none are made (resting) and
after workers have been replaced (recycled), runs ` + "`gipcs rm --orphans --yes`" + ` and ` + "`gipcs rm --owner-gone --yes`" + ` each time, and makes another
request. Then it kills all processes of the program with SIGKILL and starts it beside what they left. After that it kills them again, removes what
they left, and starts the program once more.

The columns busy, resting and recycled list the verdicts of the program's objects. A dash means that the program has no workers to replace.

- Unused: what ` + "`gipcs ls --unused`" + ` lists of the live program. No process uses these objects or is known as their last user, but the program may use
  them again.
- Restarted: of the objects that SIGKILL left and the restarted program has not used yet, those that ` + "`rm`" + ` removed beside it. The program may still
  need the rest: it can find them by their keys.
- Orphans, owner gone: of the objects that SIGKILL left, those that ` + "`rm --orphans`" + ` removed, and those that ` + "`rm --owner-gone`" + ` removed after that.

| program | objects | busy | resting | recycled | unused | restarted | after SIGKILL | orphans | owner gone | starts again |
|---|---|---|---|---|---|---|---|---|---|---|
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
		page.WriteString(r.row(programs[i].name))
		for _, wrong := range r.orphans {
			orphans += len(wrong)
		}
		found += r.allFound()
		left += len(r.left)
		misses = append(misses, explain(programs[i].name, r.missed)...)
	}
	fmt.Fprintf(page, "\nPrograms: %d. Objects of live programs that were called orphans: %d. Found of what was left: %d of %d.\n",
		len(programs), orphans, found, left)
	if len(misses) > 0 {
		fmt.Fprintf(page, "\nNot found, and why not in the words of gipcs:\n\n%s", strings.Join(misses, ""))
	}
	fmt.Fprintf(page, "\nAll of them are installed by\n\n```sh\napt-get install --no-install-recommends %s\n```\n", strings.Join(allPackages(programs), " "))
	if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
		t.Error(err)
	}
}

// row returns the program's line of the table.
func (r *result) row(name string) string {
	cells := []string{name, r.objects.String()}
	for _, verdicts := range r.verdicts {
		cells = append(cells, strings.Join(slices.Sorted(slices.Values(verdicts)), ", "))
	}
	restarted := ""
	if r.unwanted > 0 {
		restarted = fmt.Sprintf("%d of %d", r.cleaned, r.unwanted)
	}
	cells = append(cells, r.unused.String(), restarted, count(r.left).String(), fmt.Sprint(r.found[byOrphans]), fmt.Sprint(r.found[byOwnerGone]), "yes")
	for i, cell := range cells {
		cells[i] = cmp.Or(cell, "-")
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// explain lists the missed objects, grouped by reason.
func explain(program string, missed []object) (lines []string) {
	byReason := make(map[string][]object)
	for _, x := range missed {
		byReason[why(x)] = append(byReason[why(x)], x)
	}
	for _, x := range missed {
		if same := byReason[why(x)]; same != nil {
			lines = append(lines, fmt.Sprintf("- %s: %s, %s: %s.\n", program, count(same), x.Verdict, why(x)))
			delete(byReason, why(x))
		}
	}
	return lines
}

// telling holds the codes of reasons that an orphan can have, too.
var telling = []string{"not-open", "not-attached", "not-waiting", "process-gone", "process-reused", "x-server", "age"}

// why returns the reasons of a verdict with their codes, without process ids, which
// differ in each run, and without the names of hidden processes, which differ between
// machines.
func why(x object) string {
	var parts []string
	for i, code := range x.Codes {
		if !slices.Contains(telling, code) {
			parts = append(parts, fmt.Sprintf("`%s` (%s)", code, passing.ReplaceAllString(x.Reasons[i], "$1")))
		}
	}
	return strings.Join(parts, ", ")
}

var passing = regexp.MustCompile(`\[\d+\]|(:.* could not be inspected).*`)
