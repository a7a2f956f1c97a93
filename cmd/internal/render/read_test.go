package render

import (
	"strings"
	"testing"
)

// TestReadJSON reads objects and writes them again as JSON.
func TestReadJSON(t *testing.T) {
	for _, text := range []string{
		`{}`,
		`{"a":null,"b":true,"c":-1,"d":18446744073709551615,"e":0.5,"f":"\u202e\n","z":"ü"}`,
		`{"list":[1,"a",null,[]],"none":[],"object":{"x":{"y":1}},"rows":[{"a":1,"b":[2]},{"a":3,"b":null}],"mixed":[{"a":1},{"b":1},3]}`,
	} {
		columns, cells, err := ReadJSON([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var b strings.Builder
		if err := Write(&b, NDJSON, columns, one(cells), Options{}); err != nil || b.String() != text+"\n" {
			t.Errorf("%s: %v, %s", text, err, b.String())
		}
	}
	for _, text := range []string{
		"", "1", "[]", "null", `"a"`, `{`, `{"a"}`, `{"a":1`, `{"a":1}}`, `{"a":1} {"b":2}`, `{"a":1}x`, `{1:2}`, `{"a":01}`, `{"a":1e999}`, `{"a":99999999999999999999}`,
		`{"a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`, `{"a":` + strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 21),
	} {
		if _, cells, err := ReadJSON([]byte(text)); err == nil {
			t.Errorf("%q is read as %d fields", text, len(cells))
		}
	}
}

// TestReadForPeople: people see a huge value as unlimited, and nested objects as a table.
func TestReadForPeople(t *testing.T) {
	columns, cells, err := ReadJSON([]byte(`{"value":18446744073692774399,"rows":[{"pid":1},{"pid":22}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	err = WriteRecord(&b, Plain, columns, cells, Options{})
	const want = "value:  unlimited\nrows:\n  PID\n  1\n  22\n"
	if err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(`{"a":[{"b":1.5}],"c":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		columns, cells, err := ReadJSON(text)
		if err != nil {
			return
		}
		for format := range formatNames {
			if err := WriteRecord(&strings.Builder{}, Format(format), columns, cells, Options{}); err != nil {
				t.Error(err)
			}
		}
	})
}
