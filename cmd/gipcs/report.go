//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/graph"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/page"
	"github.com/sysvipc/gipc/cmd/internal/safepath"
	"github.com/sysvipc/gipc/cmd/internal/selectflags"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

const reportHelp = `Writes an HTML page about all objects, or the selected ones: the limits, the
orphans with the reasons, a picture of who uses what, and a table of all that
can be sorted and searched. The page needs no server and makes no request.
   gipcs report ipc.html

Without FILE, or with -, it writes to standard output. FILE gets mode 0600
and replaces only an older report.
`

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:        "report",
		Usage:       "write an HTML page about all objects",
		ArgsUsage:   "[FILE]",
		Description: reportHelp + "\n" + selectHelp + seeFields,
		Flags: slices.Concat([]cli.Flag{
			&command.ChoiceFlag{
				StringFlag: &cli.StringFlag{Name: "by", Value: "alike", Usage: "`GROUP`: " + strings.Join(graph.Words(), " ")},
				Words:      graph.Words,
			},
		}, selectflags.Kinds(), selectflags.Flags(), []cli.Flag{namespaceFlag()}),
		Action: inNamespace(writeReport),
	}
}

func writeReport(c *cli.Context) error {
	args, err := command.Operands(c, 0, 1, "FILE")
	if err != nil {
		return err
	}
	by, err := groupOf(c)
	if err != nil {
		return err
	}
	file := ""
	if len(args) == 1 {
		if file = args[0]; file == "" {
			return command.Usagef("the name of FILE is empty")
		}
	}
	p, incomplete, err := newReport(c, by)
	if err != nil {
		return err
	}
	if file == "" || file == "-" {
		return failedIf(incomplete, p.Write(c.App.Writer))
	}
	const private = 0o600
	return failedIf(incomplete, safepath.Replace(file, private, mayReplaceReport, p.Write))
}

// mayReplaceReport returns an error unless a file is a report or empty.
func mayReplaceReport(old *os.File) error {
	head := make([]byte, len(page.Mark))
	n, err := io.ReadFull(old, head)
	switch {
	case errors.Is(err, io.EOF) || err == nil && bytes.Equal(head, []byte(page.Mark)):
		return nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	default:
		return fmt.Errorf("the file exists and is no report of gipcs (it begins with %q); remove it first, or choose another name", head[:min(n, 15)])
	}
}

// newReport returns the page. incomplete is set if something may be missing.
func newReport(c *cli.Context, by graph.By) (p *page.Page, incomplete bool, err error) {
	selected, err := selectionOf(c)
	if err != nil {
		return nil, false, err
	}
	names := account.New()
	want := graph.Want(by) | reportColumns().Want()
	inv, incomplete, err := collectVisible(c, selected, want, names)
	if err != nil {
		return nil, false, err
	}
	all, unread := readLimits(c, selected.Kinds())
	host, err := os.Hostname()
	if err != nil {
		return nil, false, err
	}
	g := graph.New(inv, by, names)
	p = &page.Page{
		Title: "IPC objects of " + host,
		Facts: []string{fmt.Sprintf("%s at %s, seen by uid %d", counted(len(inv.Objects), "object", "objects"), inv.Taken.Format(time.RFC3339), os.Geteuid())},
		Notes: reportNotes(inv, unread),
		Style: graph.Style(),
		Sections: []page.Section{
			limitSection(all), orphanSection(inv, names),
			{
				ID: "graph", Title: "Who uses what", Picture: func(w io.Writer) error { return g.WriteSVG(w, false) },
				Text: "Processes are on the left, objects on the right. Dashed: waits. Dotted: used it last. Red: each process waits for a semaphore that the next one operated on last. The text of a line appears under the mouse.",
			},
			objectSection(inv, names),
		},
	}
	return p, incomplete || unread != nil, nil
}

// reportNotes says what the report may lack.
func reportNotes(inv *inventory.Inventory, unread error) (notes []string) {
	for _, u := range inv.Unlisted {
		notes = append(notes, u.Err.Error())
	}
	if unread != nil {
		notes = append(notes, unread.Error())
	}
	if inv.Hidden.Any() || inv.Outside {
		notes = append(notes, hiddenIn(inv)+"; what they may use is not called an orphan")
	}
	return notes
}

// limitSection shows the limits, the fullest first.
func limitSection(all []limits.Limit) page.Section {
	s := page.Section{
		ID: "limits", Title: "Limits", Empty: "No limit could be read.",
		Columns: []page.Column{{Name: "limit"}, {Name: "kind"}, {Name: "value", Number: true}, {Name: "use", Number: true}, {Name: "used", Number: true}, {Name: "sysctl"}, {Name: "what it limits", Wide: true}},
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b limits.Limit) int { return compareShares(b, a) })
	for _, l := range all {
		value, use, share, sysctl := page.Number(float64(l.Value), fmt.Sprint(l.Value)), page.Unknown(), page.Unknown(), page.Unknown()
		if l.Unlimited() {
			value.Text = "unlimited"
		}
		if l.Counted {
			use = page.Number(float64(l.Use), fmt.Sprint(l.Use))
			share = page.Number(100*l.Share(), fmt.Sprintf("%.1f %%", 100*l.Share()))
			share.Meter, share.Warn = true, l.Share() >= limits.High
		}
		if l.Sysctl != "" {
			sysctl = page.Text(l.Sysctl)
		}
		s.Rows = append(s.Rows, []page.Cell{page.Text(l.Name), page.Text(l.Kind.String()), value, use, share, sysctl, page.Text(l.About)})
	}
	return s
}

// orphanSection shows the orphans with the reasons.
func orphanSection(inv *inventory.Inventory, names *account.Directory) page.Section {
	s := page.Section{
		ID: "orphans", Title: "Orphans", Empty: "No object is known to be an orphan.",
		Text:    "No living process can need these objects. gipcs rm --orphans removes them.",
		Columns: []page.Column{{Name: "object"}, {Name: "owner"}, {Name: "size", Number: true}, {Name: "program"}, {Name: "reasons", Wide: true}},
	}
	list := fields.List{fields.Field("owner"), fields.Field("size"), fields.Field("program"), fields.Field("reasons")}
	for r := range fields.Rows(inv, names) {
		if r.Use.Verdict == inventory.Orphan {
			s.Rows = append(s.Rows, append([]page.Cell{page.Text(r.Ref().String())}, cellsOf(list, r)...))
		}
	}
	if len(s.Rows) == 0 {
		s.Text = ""
	}
	return s
}

// reportColumns are the columns of the table of all objects.
func reportColumns() (list fields.List) {
	for _, name := range []string{
		"kind", "id", "name", "key", "owner", "perms", "size", "rss", "nattch", "nsems", "messages", "waiting",
		"verdict", "program", "pids", "unit", "container", "age", "idle", "reasons",
	} {
		list = append(list, fields.Field(name))
	}
	return list
}

func objectSection(inv *inventory.Inventory, names *account.Directory) page.Section {
	list := reportColumns()
	s := page.Section{ID: "objects", Title: "All objects", Empty: "There is no object."}
	for i := range list {
		t := list[i].Type
		s.Columns = append(s.Columns, page.Column{
			Name: list[i].Name, Wide: t == fields.Texts || t == fields.Numbers,
			Number: (t == fields.Number || t == fields.Duration) && list[i].Name != "key",
		})
	}
	for r := range fields.Rows(inv, names) {
		s.Rows = append(s.Rows, cellsOf(list, r))
	}
	return s
}

// cellsOf returns an object's cells.
func cellsOf(list fields.List, r *fields.Row) []page.Cell {
	cells := make([]page.Cell, len(list))
	for i := range list {
		cells[i] = cellOf(&list[i], r)
	}
	return cells
}

func cellOf(c *fields.Column, r *fields.Row) page.Cell {
	switch v := c.Value(r).(type) {
	case nil:
		return page.Unknown()
	case int64:
		return page.Number(float64(v), numberText(c.Name, v))
	case time.Duration:
		return page.Number(v.Seconds(), string(units.AppendDuration(nil, v.Truncate(time.Second))))
	case string:
		cell := page.Text(v)
		cell.Warn = c.Name == "verdict" && v == inventory.Orphan.String()
		return cell
	case []string:
		return page.Text(strings.Join(v, ", "))
	default:
		return page.Text(strings.Trim(fmt.Sprint(v), "[]"))
	}
}

// numberText returns a number as listings show it.
func numberText(column string, n int64) string {
	switch column {
	case "key":
		return fmt.Sprintf("0x%08x", n)
	case "size", "rss":
		return string(units.AppendSize(nil, uint64(n)))
	default:
		return fmt.Sprint(n)
	}
}
