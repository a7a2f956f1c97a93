package fields

import (
	"slices"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// TestRead prints all columns of the samples as JSON, reads that, and prints it again in
// every format. Neither the output nor the sort order may differ.
func TestRead(t *testing.T) {
	names := account.New()
	for _, inv := range []*inventory.Inventory{sample(), samplePOSIX()} {
		list := All()
		printed := printedAs(t, render.NDJSON, list, inv, names)
		lines := strings.Split(strings.TrimSuffix(printed, "\n"), "\n")
		var objects []Printed
		for i, line := range lines {
			p, err := list.Read([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, p)
			if o, err := list.Ref(p); err != nil || o != inv.Objects[i].Ref() {
				t.Errorf("%v, %v, want %v", o, err, inv.Objects[i].Ref())
			}
			if column := list.Differs(p, &Row{&inv.Objects[i], inv, names}); column != "" {
				t.Errorf("%s: another %s", line, column)
			}
		}
		rows := func(yield func([]render.Cell) bool) {
			for _, p := range objects {
				cells := make([]render.Cell, len(list))
				if p.Fill(cells); !yield(cells) {
					return
				}
			}
		}
		for _, name := range render.FormatNames() {
			format, err := render.ParseFormat(name)
			if err != nil {
				t.Fatal(err)
			}
			var again strings.Builder
			if err := render.Write(&again, format, list.Columns(), rows, options()); err != nil {
				t.Fatal(err)
			}
			if want := printedAs(t, format, list, inv, names); again.String() != want {
				t.Errorf("%s:\n%s\nwant\n%s", name, again.String(), want)
			}
		}
		for i := range list {
			order, err := ParseOrder("-" + list[i].Name)
			if err != nil {
				t.Fatal(err)
			}
			sorted := slices.Clone(objects)
			slices.SortStableFunc(sorted, func(a, b Printed) int { return order.CompareKeys(a[i:i+1], b[i:i+1]) })
			mine := *inv
			mine.Objects = slices.Clone(inv.Objects)
			order.Sort(&mine, names)
			for j, p := range sorted {
				if o, _ := list.Ref(p); o != mine.Objects[j].Ref() {
					t.Errorf("sorted by %s, %v is at %d, not %v", list[i].Name, o, j, mine.Objects[j].Ref())
				}
			}
		}
	}
}

// options shows sizes and warnings for people: there, numbers that were read back could
// differ.
func options() render.Options { return render.Options{HumanSizes: true, Colour: true} }

func printedAs(t *testing.T, f render.Format, list List, inv *inventory.Inventory, names *account.Directory) string {
	t.Helper()
	var b strings.Builder
	if err := render.Write(&b, f, list.Columns(), list.Rows(inv, names), options()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestDiffers changes what an object shows, column by column.
func TestDiffers(t *testing.T) {
	inv, names := sample(), account.New()
	list := Lasting()
	lines := strings.Split(printedAs(t, render.NDJSON, list, inv, names), "\n")
	for _, test := range []struct{ column, old, now string }{
		{"size", `"size":4096`, `"size":4097`},
		{"key", `"key":"0x4e545030"`, `"key":"0x4e545031"`},
		{"lpid", `"lpid":5`, `"lpid":null`},
		{"ctime", `"ctime":"20`, `"ctime":"21`},
		{"status", `"dest",`, ``},
	} {
		line := strings.Replace(lines[0], test.old, test.now, 1)
		p, err := list.Read([]byte(line))
		if err != nil || line == lines[0] {
			t.Fatal(err, line)
		}
		if column := list.Differs(p, &Row{&inv.Objects[0], inv, names}); column != test.column {
			t.Errorf("%s: another %q", test.column, column)
		}
	}
	for _, never := range []string{"age", "idle", "verdict"} {
		if slices.ContainsFunc(list, func(c Column) bool { return c.Name == never }) {
			t.Errorf("%s does not last", never)
		}
	}
}

func TestReadErrors(t *testing.T) {
	list, err := Choose("kind,size,ctime,age,pids,reasons", nil)
	if err != nil {
		t.Fatal(err)
	}
	const whole = `{"kind":"shm","size":1,"ctime":null,"age":1,"pids":[],"reasons":null,"new":{}}`
	if _, err := list.Read([]byte(whole)); err != nil {
		t.Errorf("an unknown field: %v", err)
	}
	for text, want := range map[string]string{
		"Welcome!":    "it is no JSON object",
		"[]":          "it is no JSON object",
		"null":        "it is no JSON object",
		whole + whole: "it is no JSON object",
		strings.Replace(whole, `"age":1,`, "", 1):                "it lacks the field age",
		strings.Replace(whole, `"size":1`, `"size":-1`, 1):       "its field size is -1, which is no number",
		strings.Replace(whole, `"size":1`, `"size":"0x"`, 1):     `its field size is "0x", which is no number`,
		strings.Replace(whole, `"shm"`, `["shm"]`, 1):            `its field kind is ["shm"], which is no text`,
		strings.Replace(whole, `"age":1`, `"age":9223372037`, 1): "its field age is 9223372037, which is no duration",
		strings.Replace(whole, `"ctime":null`, `"ctime":"x"`, 1): `its field ctime is "x", which is no time`,
		strings.Replace(whole, `[]`, `["1"]`, 1):                 `its field pids is ["1"], which is no list of numbers`,
	} {
		if _, err := list.Read([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	kinds := list[:1]
	if _, err := kinds.Ref(Printed{words("nosuch")}); err == nil {
		t.Error("an unknown kind is accepted")
	}
}

func FuzzRead(f *testing.F) {
	list := All()
	f.Add([]byte(`{"kind":"shm","id":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := list.Read(text); err == nil {
			o, err := list.Ref(p)
			if err == nil && o.Kind != ref.Shm && o.String() == "" {
				t.Error("an object without a name")
			}
			p.Fill(make([]render.Cell, len(list)))
		}
	})
}
