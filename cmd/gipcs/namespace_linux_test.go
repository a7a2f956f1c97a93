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

// TestOwnKinds: in another place, some kinds of objects are not the caller's own.
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

// TestReadLimits: it is an error if objects cannot be seen, but not if they do not exist.
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

// TestPlaceName: other users choose the names of containers, which must not break the line
// of a monitoring plugin.
func TestPlaceName(t *testing.T) {
	for _, tt := range []struct {
		own       bool
		pid       int
		container string
		files     bool // only a further /dev/shm
		want      string
	}{
		{own: true, want: ""},
		{own: true, pid: 12, files: true, want: "7/12"},
		{pid: 12, want: "7"},
		{pid: 12, container: "4f5e00112233445566", want: "4f5e00112233/7"},
		{pid: 12, container: "web", files: true, want: "web/7/12"},
		{pid: 12, container: "x|size=0", want: "7"},
		{pid: 12, container: "a b", want: "7"},
	} {
		p := inventory.Place{PID: tt.pid, Kinds: ref.Kinds()}
		p.Inode, p.Own, p.Container.ID = 7, tt.own, tt.container
		if tt.files {
			p.Kinds = []ref.Kind{ref.PShm, ref.PSem}
		}
		if got := placeName(&p); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt, got, tt.want)
		}
	}
}
