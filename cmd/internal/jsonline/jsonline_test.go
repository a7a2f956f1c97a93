package jsonline

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzMembers compares with package json: the same objects are accepted, and they have the
// same members.
func FuzzMembers(f *testing.F) {
	f.Add(`{"kind":"shm","id":7,"status":["a","b"],"x":{"y":[{}]},"\u006bey":null}`)
	f.Add(" {\t\"a\" : [ 1 , \"]}\\\"\" ] ,\n\"a\":true } ")
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, text string) {
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &want); err != nil || want == nil {
			if _, err := Members([]byte(text)); err == nil {
				t.Errorf("%q is accepted", text)
			}
			return
		}
		members, err := Members([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]json.RawMessage)
		for name, value := range members {
			got[string(name)] = value
			var s string
			if json.Unmarshal(value, &s) == nil && string(value) != "null" {
				if text, err := Text(value); err != nil || text != s {
					t.Errorf("%s: %q, %v, want %q", value, text, err, s)
				}
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok && utf8.ValidString(text) {
				t.Errorf("%q: %q is no member", text, name)
			}
		}
		for name, value := range want {
			if string(got[name]) != string(value) && utf8.ValidString(text) {
				t.Errorf("%q: %q is %s, want %s", text, name, got[name], value)
			}
		}
	})
}
