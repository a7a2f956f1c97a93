package main

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestVisitAll looks at the caller's own namespace, which everybody may enter, among
// those that there are.
func TestVisitAll(t *testing.T) {
	for _, tt := range []struct {
		look         error
		listed, seen bool
		err          error
		says         string
	}{
		{nil, true, true, nil, ""},
		{fs.ErrPermission, true, false, nil, "may not be entered"},
		{fs.ErrNotExist, false, false, nil, ""},
		{syscall.EIO, false, false, syscall.EIO, ""},
	} {
		var said strings.Builder
		c := cli.NewContext(&cli.App{Name: "gipcs", ErrWriter: &said}, nil, nil)
		visits, err := visitAll(c, func() (*int, error) { return new(int), tt.look })
		i := slices.IndexFunc(visits, func(v visit[int]) bool { return v.namespace.Own })
		seen := i >= 0 && visits[i].seen != nil
		if !errors.Is(err, tt.err) || (i >= 0) != tt.listed || seen != tt.seen || !strings.Contains(said.String(), tt.says) {
			t.Errorf("%v: error %v, listed %t, seen %t, said %q; want %v, %t, %t, %q",
				tt.look, err, i >= 0, seen, said.String(), tt.err, tt.listed, tt.seen, tt.says)
		}
	}
}
