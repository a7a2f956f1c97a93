//go:build linux

package main

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/extra/fleet"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// columnFlags choose the columns of gipcs fleet ls, as in gipcs ls.
func columnFlags() []cli.Flag {
	return []cli.Flag{
		&command.ChoiceFlag{
			StringFlag: &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "show these columns; +`LIST` adds to the usual ones"},
			Words:      columnNames, List: true,
		},
		&command.ChoiceFlag{
			StringFlag: &cli.StringFlag{Name: "sort", Usage: "sort by the columns `LIST`; -NAME reverses one"},
			Words:      columnNames, List: true,
		},
	}
}

func columnNames() (names []string) {
	for _, c := range fields.All() {
		names = append(names, c.Name)
	}
	return names
}

// A listing is gipcs fleet ls. Each host selects its objects; they are sorted here.
type listing struct {
	*session
	question fleet.Question
	format   render.Format
	kinds    []ref.Kind
	list     fields.List
	order    fields.Order
	asked    fields.List // the columns that each host prints
	objects  map[ref.Kind]bool
}

// A row is an object of a host, as its agent printed it.
type row struct {
	host string
	line []byte
	keys fields.Printed // to sort by
}

// maxGathered is how many bytes of rows are kept for a table or for sorting.
const maxGathered = 1 << 30

func ls(s *session) (func() error, error) {
	l, err := readListing(s)
	if err != nil {
		return nil, err
	}
	return l.write, nil
}

// write asks the hosts and writes the table.
func (l *listing) write() (err error) {
	rows := l.rows()
	if !forMachines(l.format) || len(l.order) > 0 {
		if rows, err = l.gathered(rows); err != nil {
			return err
		}
	}
	columns := l.list.Columns()
	if !l.IsSet("output") {
		columns = fields.Narrow(columns)
	}
	if err := command.WriteRows(l.Context, l.format, underHost(columns), l.cells(rows), l.options()); err != nil {
		return err
	}
	return l.report()
}

func readListing(s *session) (l *listing, err error) {
	if _, err := command.Operands(s.Context, 0, 0, ""); err != nil {
		return nil, err
	}
	l = &listing{session: s, objects: make(map[ref.Kind]bool)}
	if l.question, l.kinds, err = questionOf(s.Context); err != nil {
		return nil, err
	}
	if l.format, err = command.FormatOf(s.Context); err != nil {
		return nil, err
	}
	if err := l.layout(l.kinds); err != nil {
		return nil, command.Usage(err)
	}
	if s.IsSet("sort") {
		if l.order, err = fields.ParseOrder(s.String("sort")); err != nil {
			return nil, command.Usage(err)
		}
	}
	kind, err := fields.Choose("kind", nil)
	if err != nil {
		return nil, err
	}
	l.asked = slices.Clone(l.list)
	for _, c := range slices.Concat(l.order.Columns(), kind) {
		if !slices.ContainsFunc(l.asked, func(have fields.Column) bool { return have.Name == c.Name }) {
			l.asked = append(l.asked, c)
		}
	}
	for i := range l.asked {
		l.question.Columns = append(l.question.Columns, l.asked[i].Name)
	}
	return l, nil
}

// layout sets the columns to show for objects of some kinds.
func (l *listing) layout(kinds []ref.Kind) (err error) {
	if len(kinds) == 0 {
		kinds = ref.Kinds()
	}
	l.list = fields.Default(kinds, forMachines(l.format))
	if l.IsSet("output") {
		l.list, err = fields.Choose(l.String("output"), l.list)
	}
	return err
}

// rows yields the objects of each host whose whole answer can be read. A row's line is valid
// as long as the row.
func (l *listing) rows() iter.Seq[row] {
	return func(yield func(row) bool) {
		for answer := range l.ask(fleet.List, l.question) {
			text, err := l.read(answer)
			if err != nil {
				l.fail(answer, err)
				continue
			}
			for line := range bytes.Lines(text) {
				if !yield(row{host: answer.Host, line: line}) {
					return
				}
			}
		}
	}
}

// read returns the lines of an answer, each of which is an object.
func (l *listing) read(answer *fleet.Answer) (text []byte, err error) {
	var lacking []string
	for line, err := range answer.Lines() {
		if err != nil {
			return nil, err
		}
		printed, without, err := l.asked.ReadKnown(line)
		if err != nil {
			return nil, fmt.Errorf("its answer is not one of gipcs: %w: %.60q", err, line)
		}
		o, err := l.asked.Ref(printed)
		if err != nil {
			return nil, fmt.Errorf("its answer is not one of gipcs: %w: %.60q", err, line)
		}
		if len(without) > len(lacking) {
			lacking = without
		}
		l.objects[o.Kind] = true
		text = append(append(text, line...), '\n')
	}
	l.lacks(answer, lacking)
	return text, nil
}

// gathered waits for all rows and sorts them. For people it drops the columns that none of
// the objects has, unless kinds were chosen.
func (l *listing) gathered(rows iter.Seq[row]) (iter.Seq[row], error) {
	var all []row
	size := 0
	for r := range rows {
		if size += len(r.line); size > maxGathered {
			return nil, fmt.Errorf("the objects take more than %d GiB; select fewer with --where, or use --format ndjson without --sort, which keeps none", maxGathered>>30)
		}
		all = append(all, r)
	}
	if err := l.ended(); err != nil {
		return nil, err
	}
	if order := l.order.Columns(); len(order) > 0 {
		for i := range all {
			all[i].keys, _, _ = order.ReadKnown(all[i].line) // read has checked the line
		}
		slices.SortStableFunc(all, func(a, b row) int { return l.order.CompareKeys(a.keys, b.keys) })
	}
	if len(l.kinds) == len(ref.Kinds()) && !forMachines(l.format) {
		var have []inventory.Object
		for kind := range l.objects {
			have = append(have, inventory.Object{Kind: kind})
		}
		if err := l.layout(fields.Families(have)); err != nil {
			return nil, err
		}
	}
	return slices.Values(all), nil
}

// cells yields rows of cells. Each row is valid until the next one.
func (l *listing) cells(rows iter.Seq[row]) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		cells := make([]render.Cell, 1+len(l.list))
		for r := range rows {
			printed, _, _ := l.list.ReadKnown(r.line) // read has checked the line
			cells[0] = render.Text(r.host)
			if printed.Fill(cells[1:]); !yield(cells) {
				return
			}
		}
	}
}
