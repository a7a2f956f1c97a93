package snapshot

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzRead: every error is a single line, and a snapshot that was read can be compared with
// itself.
func FuzzRead(f *testing.F) {
	f.Add(encode(f, header(), sample(), false))
	f.Add(encode(f, header(), sample(), true))
	f.Add([]byte(`{"gipcs_snapshot":1,"boot_id":"b","namespace":1,"time":"2026-01-31T15:00:00Z","boottime":1,"kinds":["shm"],"objects":2}
{"kind":"shm","id":1,"size":1}
{"kind":"shm","id":1,"size":18446744073709551615,"ctime":"0000-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Read(bytes.NewReader(b), []string{"container"})
		if err != nil {
			if strings.Contains(err.Error(), "\n") || s != nil {
				t.Fatalf("%q: %q", b, err)
			}
			return
		}
		d, err := Compare(s, s)
		if err != nil {
			t.Fatal(err)
		}
		for i := range d.Changes {
			if d.Changes[i].What > Went { // a second line for an object may only come or go
				t.Fatalf("%q: %v", b, d.Changes[i])
			}
		}
		for _, sum := range d.Sums([]string{"owner", "container"}) {
			if sum.Sum.Objects.After < 0 || sum.Sum.Bytes.After < 0 {
				t.Fatalf("%q: %v", b, sum)
			}
		}
	})
}

// FuzzMembers: for every JSON object, members finds what package json finds.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{}`, ` { "a" : 1 , "b":[ ],"c":{"d":[1,{}]},"e":"\"\\\u0041é" } `, `{"a":-0.5e-7,"a":null}`, `{"a":01}`, `{"a":1,}`, `[]`, `{"a":tru}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got := make(map[string]string)
		err := members(line, func(name, value []byte) error {
			if text, ok := decodeText(name); ok {
				got[text] = string(value)
			}
			return nil
		})
		var want map[string]json.RawMessage
		if json.Unmarshal(line, &want) != nil || want == nil {
			return // members need not check what nobody reads, such as the escapes of a string
		}
		if err != nil && bytes.Count(line, []byte("["))+bytes.Count(line, []byte("{")) <= deepest {
			t.Fatalf("%q: %v", line, err)
		}
		if err == nil && len(got) != len(want) {
			t.Fatalf("%q: %v, want %s", line, got, want)
		}
		for name, value := range want {
			if err == nil && got[name] != string(value) {
				t.Fatalf("%q: %s is %s, want %s", line, name, got[name], value)
			}
		}
	})
}
