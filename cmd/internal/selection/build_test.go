package selection

import (
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// TestOfKinds: the groups sysv and posix name none of their kinds.
func TestOfKinds(t *testing.T) {
	for _, tt := range []struct{ words, kinds, named string }{
		{"shm", "shm", "shm"},
		{"sem,pmsg", "sem pmsg", "sem pmsg"},
		{"sysv", "shm sem msg", ""},
		{"posix", "pshm psem pmsg", ""},
		{"posix,sysv", "shm sem msg pshm psem pmsg", ""},
		{"posix,shm,pmsg,shm", "shm pshm psem pmsg", "shm pmsg"},
	} {
		expr, err := OfKinds(strings.Split(tt.words, ",")...)
		if err != nil {
			t.Fatal(err)
		}
		condition, err := Parse(expr)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		s := Selection{condition}
		if kinds, named := kindsOf(s); kinds != tt.kinds || named != tt.named {
			t.Errorf("%s selects %q and names %q, want %q and %q", tt.words, kinds, named, tt.kinds, tt.named)
		}
	}
}

// kindsOf returns the kinds that a selection can select, and the kinds that it names.
func kindsOf(s Selection) (selects, names string) {
	var selected, named []string
	for _, k := range s.Kinds() {
		selected = append(selected, k.String())
	}
	for _, k := range ref.Kinds() {
		if s.Names(k) {
			named = append(named, k.String())
		}
	}
	return strings.Join(selected, " "), strings.Join(named, " ")
}
