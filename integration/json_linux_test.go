package integration_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/sysv"
)

// documented is a field in a table of docs/json.md.
type documented struct{ name, kind, null, kinds string }

// readTables returns the tables of docs/json.md by heading.
func readTables(t *testing.T) map[string][]documented {
	t.Helper()
	text, err := os.ReadFile("../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	tables, heading := make(map[string][]documented), ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "##") {
			heading = name
		}
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `") && len(cells) == 6 {
			tables[heading] = append(tables[heading], documented{strings.Trim(cells[0], "| `"), cells[1], cells[3], cells[4]})
		}
	}
	return tables
}

// checkFields compares a JSON object with a table. kind is the kind of the IPC object that
// it describes.
func checkFields(t *testing.T, where string, fields []documented, kind string, object map[string]any) {
	t.Helper()
	if len(fields) == 0 {
		t.Fatalf("docs/json.md has no table for %s", where)
	}
	known := make(map[string]bool)
	for _, f := range fields {
		known[f.name] = true
		value, ok := object[f.name]
		of := f.kinds == "all" || slices.Contains(strings.Fields(f.kinds), kind)
		switch {
		case !ok && of:
			t.Errorf("%s %s lacks the field %s", where, kind, f.name)
		case value == nil && of && f.null == "-":
			t.Errorf("%s %s: %s is null", where, kind, f.name)
		case value != nil && !of:
			t.Errorf("%s %s: %s is %v, and is not documented for this kind", where, kind, f.name, value)
		case value != nil && !hasType(value, f.kind):
			t.Errorf("%s %s: %s is %v, which is no %s", where, kind, f.name, value, f.kind)
		}
	}
	for name := range object {
		if !known[name] {
			t.Errorf("%s %s: the field %s is not documented", where, kind, name)
		}
	}
}

func hasType(value any, name string) bool {
	if of, ok := strings.CutPrefix(name, "array of "); ok {
		list, ok := value.([]any)
		for _, item := range list {
			ok = ok && hasType(item, strings.TrimSuffix(of, "s"))
		}
		return ok
	}
	text, isText := value.(string)
	switch name {
	case "string":
		return isText
	case "string, hexadecimal":
		return regexp.MustCompile(`^0x[0-9a-f]+$`).MatchString(text)
	case "string, octal":
		return regexp.MustCompile(`^0[0-7]+$`).MatchString(text)
	case "time":
		_, err := time.Parse(time.RFC3339Nano, text)
		return err == nil
	case "number":
		_, ok := value.(float64)
		return ok
	case "boolean":
		_, ok := value.(bool)
		return ok
	case "object":
		_, ok := value.(map[string]any)
		return ok
	}
	return false
}

// TestJSON compares the commands' JSON with docs/json.md, in both directions.
func TestJSON(t *testing.T) {
	inNamespace(t)
	bin := install(t, "gipcs", "gshm")
	oneOfEach(t)
	mem, err := sysv.Segment(0).Attach(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Detach()
	if err := sysv.Queue(0).Send(t.Context(), 1, []byte("text")); err != nil {
		t.Fatal(err)
	}
	tables := readTables(t)

	var columns []string
	for _, f := range tables["gipcs ls"] {
		columns = append(columns, f.name)
	}
	said, _ := exec.Command(filepath.Join(bin, "gipcs"), "ls", "-o", "nosuch").CombinedOutput()
	if _, all, _ := strings.Cut(strings.TrimSpace(string(said)), "the columns are "); all != strings.Join(columns, " ") {
		t.Errorf("docs/json.md has the columns\n%s, gipcs ls\n%s", strings.Join(columns, " "), all)
	}
	for _, args := range []string{"gipcs ls --json -o " + strings.Join(columns, ","), "gipcs limits --json", "gipcs limits --explain --json", "gipcs ns --json", "gipcs doctor --json", "gshm bench --duration 1ms --json --sizes 64,64KiB --only ring,sysv-msg,memcpy", "gshm stat --json 0"} {
		heading := strings.Join(strings.Fields(args)[:2], " ")
		if strings.Contains(args, "--explain") {
			heading += " --explain"
		}
		for _, object := range decode[[]map[string]any](t, bin, args) {
			kind, _ := object["kind"].(string)
			if heading == "gshm stat" {
				kind = "shm"
			}
			checkFields(t, heading, tables[heading], kind, object)
			for _, name := range []string{"owners", "programs"} {
				checkNested(t, tables, "owners and programs", kind, object[name])
			}
		}
	}
	for _, object := range decode[[]map[string]any](t, bin, "gipcs ls --json --by kind") {
		kind := []documented{{name: "kind", kind: "string", null: "-", kinds: "all"}}
		checkFields(t, "gipcs ls --by", slices.Concat(kind, tables["gipcs ls --by"]), "", object)
	}
	standard := standardFields(tables["gipcs ls"])
	for _, object := range decode[[]map[string]any](t, bin, "gipcs rm --dry-run --json shm:0 sem:0 msg:0 pshm:/x psem:/x pmsg:/x") {
		checkFields(t, "gipcs rm", standard, object["kind"].(string), object)
	}
	policy := filepath.Join(t.TempDir(), "policy.toml")
	writeFile(t, policy, "[[rule]]\nname = \"all\"\nselect = \"orphans\"\n")
	run := decode[map[string]any](t, bin, "gipcs clean --json --policy "+policy)
	checkFields(t, "gipcs clean", tables["gipcs clean"], "", run)
	for _, ref := range []string{"shm:0 --hex 20", "sem:0", "msg:0", "pshm:/x --hex 20", "psem:/x", "pmsg:/x"} {
		object := decode[map[string]any](t, bin, "gipcs show --json "+ref)
		kind, _, _ := strings.Cut(ref, ":")
		own := tables["gipcs show"]
		fields := append([]documented(nil), own...)
		for _, f := range tables["gipcs ls"] {
			shown := f.name == "rss" || f.name == "swap" || f.name == "verdict" || f.name == "reasons" || isStandard(f, standard)
			if shown {
				fields = append(fields, f)
			}
		}
		checkFields(t, "gipcs show", fields, kind, object)
		for _, name := range []string{"processes", "attached", "mapped", "open", "contents", "semaphores", "messages_held"} {
			checkNested(t, tables, name, kind, object[name])
		}
		checkNested(t, tables, "limits of show", kind, object["limits"])
	}
}

// standardFields returns the fields that gipcs ls prints without -o: all up to cgroup.
func standardFields(all []documented) []documented {
	for i, f := range all {
		if f.name == "cgroup" {
			return all[:i+1]
		}
	}
	return nil
}

func isStandard(f documented, standard []documented) bool {
	for _, s := range standard {
		if s == f {
			return true
		}
	}
	return false
}

func checkNested(t *testing.T, tables map[string][]documented, heading, kind string, list any) {
	t.Helper()
	rows, _ := list.([]any)
	for _, row := range rows {
		checkFields(t, heading, tables[heading], kind, row.(map[string]any))
	}
}

// decode runs a command and returns its JSON output.
func decode[T any](t *testing.T, bin, command string) (v T) {
	t.Helper()
	words := strings.Fields(command)
	out, err := exec.Command(filepath.Join(bin, words[0]), words[1:]...).Output()
	if err == nil {
		err = json.Unmarshal(out, &v)
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return v
}
