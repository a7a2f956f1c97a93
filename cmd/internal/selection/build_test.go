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
		var kinds, named []string
		for _, k := range s.Kinds() {
			kinds = append(kinds, k.String())
		}
		for _, k := range ref.Kinds() {
			if s.Names(k) {
				named = append(named, k.String())
			}
		}
		if got := strings.Join(kinds, " "); got != tt.kinds {
			t.Errorf("%s selects %s, want %s", tt.words, got, tt.kinds)
		}
		if got := strings.Join(named, " "); got != tt.named {
			t.Errorf("%s names %s, want %s", tt.words, got, tt.named)
		}
	}
}
