//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/selection"
)

// TestKindCondition: the groups sysv and posix name none of their kinds.
func TestKindCondition(t *testing.T) {
	for _, tt := range []struct{ words, kinds, named string }{
		{"shm", "shm", "shm"},
		{"sem,pmsg", "sem pmsg", "sem pmsg"},
		{"sysv", "shm sem msg", ""},
		{"posix", "pshm psem pmsg", ""},
		{"posix,sysv", "shm sem msg pshm psem pmsg", ""},
		{"posix,shm,pmsg,shm", "shm pshm psem pmsg", "shm pmsg"},
	} {
		expr, err := kindCondition(strings.Split(tt.words, ","))
		if err != nil {
			t.Fatal(err)
		}
		condition, err := selection.Parse(expr)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		s := selection.Selection{condition}
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
			t.Errorf("--kind %s selects %s, want %s", tt.words, got, tt.kinds)
		}
		if got := strings.Join(named, " "); got != tt.named {
			t.Errorf("--kind %s names %s, want %s", tt.words, got, tt.named)
		}
	}
}
