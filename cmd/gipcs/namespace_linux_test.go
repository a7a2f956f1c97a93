package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

func contextAt(s inventory.Sight) *cli.Context {
	c := cli.NewContext(&cli.App{}, nil, &cli.Context{Context: context.Background()})
	return seeing(c, inventory.Place{}, s)
}

// TestOwnKinds: who removes objects of the caller's namespaces removes none of others.
func TestOwnKinds(t *testing.T) {
	for _, tt := range []struct {
		sight inventory.Sight
		want  []ref.Kind
	}{
		{inventory.Sight{}, ref.Kinds()},
		{inventory.Sight{OtherIPC: true}, []ref.Kind{ref.PShm, ref.PSem}},
		{inventory.Sight{OtherShm: true}, append(ref.SystemV(), ref.PMsg)},
		{inventory.Sight{OtherIPC: true, OtherShm: true}, nil},
	} {
		if got := ownKinds(contextAt(tt.sight)); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.sight, got, tt.want)
		}
	}
	if got := ownKinds(cli.NewContext(&cli.App{}, nil, nil)); !slices.Equal(got, ref.Kinds()) {
		t.Errorf("without --namespace: %v", got)
	}
}

// TestReadLimits: limits of what can't be seen are an error, those of what is not there
// are none.
func TestReadLimits(t *testing.T) {
	for _, tt := range []struct {
		err  error
		fail bool
	}{
		{fs.ErrNotExist, false},
		{errors.New("does not answer"), true},
	} {
		c := contextAt(inventory.Sight{Kinds: ref.Kinds(), Missing: map[ref.Kind]error{ref.PShm: tt.err, ref.PSem: tt.err}})
		all, err := readLimits(c, visibleKinds(c))
		if (err != nil) != tt.fail || len(all) == 0 {
			t.Errorf("%v: error %v, %d limits", tt.err, err, len(all))
		}
		for _, l := range all {
			if l.Kind == ref.PShm {
				t.Errorf("%v: there is a limit %s", tt.err, l.Name)
			}
		}
	}
}

func TestFindPlace(t *testing.T) {
	for text, usage := range map[string]bool{
		"": true, "what": true, "-1": true, ":x": true, "docker:": true, "abc": true,
		"docker:00c0ffee": false, "00c0ffee00": false, "4194303": false, "4294967295": false, "./nosuch": false,
	} {
		if _, err := findPlace(text); err == nil || command.IsUsage(err) != usage {
			t.Errorf("%q: %v, want an error of the command line: %v", text, err, usage)
		}
	}
}
