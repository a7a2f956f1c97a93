package main

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/sysv"
)

// TestVisitAll visits the caller's own namespace, which anybody may enter, among all
// namespaces.
func TestVisitAll(t *testing.T) {
	for _, tt := range []struct {
		look         error
		listed, seen bool
		err          error
		says         string
	}{
		{nil, true, true, nil, ""},
		{fs.ErrPermission, true, false, nil, "could not be entered"},
		{fs.ErrNotExist, false, false, nil, ""},
		{syscall.EIO, false, false, syscall.EIO, ""},
	} {
		var said strings.Builder
		c := cli.NewContext(&cli.App{Name: "gipcs", ErrWriter: &said}, nil, nil)
		visits, err := visitPlaces(c, func(*cli.Context) (*int, error) { return new(int), tt.look })
		i := slices.IndexFunc(visits, func(v visit[inventory.Place, int]) bool { return v.place.Own })
		seen := i >= 0 && visits[i].seen != nil
		if !errors.Is(err, tt.err) || (i >= 0) != tt.listed || seen != tt.seen || !strings.Contains(said.String(), tt.says) {
			t.Errorf("%v: error %v, listed %t, seen %t, said %q; want %v, %t, %t, %q",
				tt.look, err, i >= 0, seen, said.String(), tt.err, tt.listed, tt.seen, tt.says)
		}
	}
}

// TestAllRows sorts the objects of several namespaces as one list.
func TestAllRows(t *testing.T) {
	at := func(inode uint64) inventory.Place {
		return inventory.Place{Namespace: inventory.Namespace{Inode: inode}}
	}
	seen := func(inode uint64, sizes ...int64) visit[inventory.Place, inventory.Inventory] {
		inv := &inventory.Inventory{}
		for _, size := range sizes {
			inv.Objects = append(inv.Objects, inventory.Object{Kind: ref.Shm, Segment: &sysv.SegmentInfo{Size: size}})
		}
		return visit[inventory.Place, inventory.Inventory]{at(inode), inv}
	}
	visits := []visit[inventory.Place, inventory.Inventory]{seen(1, 10, 40), {place: at(2)}, seen(3, 30, 20, 40)}
	for _, tt := range []struct{ order, want string }{
		{"", "1,10 1,40 3,30 3,20 3,40"},
		{"-size", "1,40 3,40 3,30 3,20 1,10"},
	} {
		var order fields.Order
		if tt.order != "" {
			var err error
			if order, err = fields.ParseOrder(tt.order); err != nil {
				t.Fatal(err)
			}
		}
		list, err := fields.Choose("size", nil)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		columns := slices.Concat(placeColumns(), list.Columns())
		err = render.Write(&out, render.CSV, columns, allRows(list, order, visits, account.New()), render.Options{NoHeadings: true})
		got := strings.Join(strings.Fields(strings.ReplaceAll(out.String(), ",,,", ",")), " ")
		if err != nil || got != tt.want {
			t.Errorf("--sort %q: %q, %v; want %q", tt.order, got, err, tt.want)
		}
	}
}
