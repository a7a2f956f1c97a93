//go:build linux

package main

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/hosts"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// A hostListing is gipcs ls on other hosts. Each host selects its objects; the rows of all
// hosts are sorted here.
type hostListing struct {
	*listing
	*fleet
	asked  fields.List // the columns that each host prints
	places bool        // preceded by the columns of its places
}

// A hostRow is an object of a host, as it was printed there.
type hostRow struct {
	host string
	line []byte
	keys fields.Printed // to sort by
}

func lsOnHosts(f *fleet) error {
	if f.Bool("all-namespaces") && f.IsSet("namespace") {
		return command.Usagef("--namespace and --all-namespaces exclude each other")
	}
	if f.IsSet("by") {
		return lsByOnHosts(f)
	}
	read, err := readListing(f.Context)
	if err != nil {
		return err
	}
	l := &hostListing{listing: read, fleet: f, places: f.Bool("all-namespaces")}
	l.asked = slices.Clone(l.list)
	for _, c := range l.order.Columns() {
		if !slices.ContainsFunc(l.asked, func(have fields.Column) bool { return have.Name == c.Name }) {
			l.asked = append(l.asked, c)
		}
	}
	args := append(f.passedOn("output", "sort"), "--output="+strings.Join(namesOf(l.asked), ","))
	rows := l.rows(f.ask(f.hosts, args, l.accept, nil))
	if !forMachines(l.format) || len(l.order) > 0 {
		if rows, err = l.gathered(rows); err != nil {
			return err
		}
	}
	if err := f.rejected(); err != nil {
		return err
	}
	options := render.Options{NoHeadings: f.Bool("no-headings"), HumanSizes: f.Bool("human")}
	if err := command.WriteRows(f.Context, l.format, l.headings(), l.cells(rows), options); err != nil {
		return err
	}
	return f.report(command.Failed)
}

func namesOf(list fields.List) []string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	return names
}

// accept checks a line of an answer in the way in which cells will read it.
func (l *hostListing) accept(line []byte) error {
	_, err := l.asked.Read(line)
	if err == nil && l.places {
		_, err = readPlace(line)
	}
	return err
}

// readPlace returns the cells for placeColumns.
func readPlace(line []byte) ([]render.Cell, error) {
	columns, cells, err := render.ReadJSON(line)
	if err != nil {
		return nil, err
	}
	var place []render.Cell
	for _, want := range placeColumns() {
		i := slices.IndexFunc(columns, func(c render.Column) bool { return c.Name == want.Name })
		if i < 0 {
			return nil, fmt.Errorf("it lacks the field %s", want.Name)
		}
		place = append(place, cells[i])
	}
	return place, nil
}

// rows yields the objects of all answers.
func (l *hostListing) rows(answers iter.Seq[hosts.Answer]) iter.Seq[hostRow] {
	return func(yield func(hostRow) bool) {
		for answer := range answers {
			for line := range answer.Lines() {
				if !yield(hostRow{host: answer.Host, line: line}) {
					return
				}
			}
		}
	}
}

// gathered waits for all rows and sorts them. For people it drops the columns that none
// of the objects has.
func (l *hostListing) gathered(rows iter.Seq[hostRow]) (iter.Seq[hostRow], error) {
	all := slices.Collect(rows)
	if err := l.interrupted(); err != nil {
		return nil, err
	}
	if order := l.order.Columns(); len(order) > 0 {
		for i := range all {
			all[i].keys, _ = order.Read(all[i].line) // ask has checked the line
		}
		slices.SortStableFunc(all, func(a, b hostRow) int { return l.order.CompareKeys(a.keys, b.keys) })
	}
	return slices.Values(all), l.narrow(l.Context, kindsPrinted(all))
}

// kindsPrinted returns the families of kinds in rows.
func kindsPrinted(rows []hostRow) []ref.Kind {
	have := make(map[ref.Kind]bool)
	kind := fields.All()[:1]
	for i := range rows {
		if p, err := kind.Read(rows[i].line); err == nil {
			if o, err := kind.Ref(p); err == nil {
				have[o.Kind] = true
			}
		}
	}
	var objects []inventory.Object
	for k := range have {
		objects = append(objects, inventory.Object{Kind: k})
	}
	return fields.Families(objects)
}

func (l *hostListing) headings() []render.Column {
	columns := []render.Column{hostColumn()}
	if l.places {
		columns = append(columns, placeColumns()...)
	}
	return append(columns, l.columns(l.Context)...)
}

// cells yields rows of cells for headings.
func (l *hostListing) cells(rows iter.Seq[hostRow]) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		var cells []render.Cell
		for row := range rows {
			cells = append(cells[:0], render.Text(row.host))
			if l.places {
				place, _ := readPlace(row.line) // ask has checked the line
				cells = append(cells, place...)
			}
			printed, _ := l.list.Read(row.line)
			n := len(cells)
			cells = append(cells, make([]render.Cell, len(printed))...)
			if printed.Fill(cells[n:]); !yield(cells) {
				return
			}
		}
	}
}

// lsByOnHosts shows the sums of each host, in the order of the hosts.
func lsByOnHosts(f *fleet) error {
	s, err := readSummary(f.Context)
	switch {
	case err != nil:
		return err
	case s.metrics != nil:
		return command.Usagef("--format prometheus is for one host; run it on each host")
	}
	columns := s.layout.Columns()
	if f.Bool("all-namespaces") {
		columns = slices.Concat(placeColumns(), columns)
	}
	rows, err := f.answers(columns)
	if err != nil {
		return err
	}
	for _, row := range rows {
		s.layout.Restore(row[len(row)-len(s.layout.Columns()):])
	}
	options := render.Options{NoHeadings: f.Bool("no-headings"), HumanSizes: f.Bool("human")}
	if err := command.WriteRows(f.Context, s.format, underHost(columns), slices.Values(rows), options); err != nil {
		return err
	}
	return f.report(command.Failed)
}
