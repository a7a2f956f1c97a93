//go:build linux

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/term"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

//go:embed page.html
var pageSource string

// A page is what the template shows. Its texts are safe for a terminal: a name cannot reverse
// the direction of what stands beside it.
type page struct {
	Host, Taken string
	Notes       []string
	Columns     []string
	Groups      [][]string
	Left        int // groups that are not shown
	Limits      []limitRow
}

type limitRow struct {
	Name, Kind, Use, Value, Percent string
	High                            bool
}

// maxGroups is how many groups the page shows.
const maxGroups = 200

func servePage(w http.ResponseWriter, s *scanner) {
	r, err := s.read(scanPatience)
	if err != nil {
		http.Error(w, explain.Error(err), http.StatusServiceUnavailable)
		return
	}
	var b bytes.Buffer
	if err := template.Must(template.New("page").Parse(pageSource)).Execute(&b, newPage(r, s.layout)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // fails if the client has gone
}

func newPage(r *reading, layout *groups.Layout) page {
	host, _ := os.Hostname() // a page without it is better than none
	p := page{Host: term.Escape(host), Taken: r.taken.Format(time.RFC3339)}
	for _, note := range r.notes {
		p.Notes = append(p.Notes, term.Escape(note))
	}
	for _, c := range layout.Columns() {
		p.Columns = append(p.Columns, c.Name)
	}
	for i, g := range r.groups {
		if i == maxGroups {
			p.Left = len(r.groups) - maxGroups
			break
		}
		p.Groups = append(p.Groups, groupRow(layout, g))
	}
	for _, l := range r.limits {
		if l.Counted {
			p.Limits = append(p.Limits, rowOf(l))
		}
	}
	return p
}

func groupRow(layout *groups.Layout, g *groups.Group[[]groups.Count]) (row []string) {
	for _, v := range g.Key {
		if !v.Known {
			v.Text = "-"
		}
		row = append(row, term.Escape(v.Text))
	}
	for i, c := range g.Sum {
		switch {
		case !c.Known():
			row = append(row, "-")
		case layout.Measures[i].Bytes:
			row = append(row, string(units.AppendSize(nil, c.N)))
		default:
			row = append(row, fmt.Sprint(c.N))
		}
	}
	return row
}

func rowOf(l limits.Limit) limitRow {
	row := limitRow{Name: l.Name, Kind: l.Kind.String(), Use: fmt.Sprint(l.Use), Value: fmt.Sprint(l.Value), High: l.Share() >= limits.High}
	if l.Unlimited() {
		row.Value = "unlimited"
	}
	row.Percent = fmt.Sprintf("%.1f %%", 100*l.Share())
	return row
}
