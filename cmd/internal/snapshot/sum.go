package snapshot

import (
	"cmp"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/groups"
)

// A Sum adds up the objects of a group.
type Sum struct {
	Came, Went int64
	Quantities
}

// Quantities are what objects take of the limits of the kernel.
type Quantities struct {
	Objects, Bytes, Messages, Attachments, Semaphores Quantity
}

func (s *Sum) add(c *Change) {
	switch c.What {
	case Came:
		s.Came++
	case Went:
		s.Went++
	}
	s.Objects.add(c.Objects())
	s.Bytes.add(c.Bytes())
	s.Messages.add(c.Messages())
	s.Attachments.add(c.Attachments())
	s.Semaphores.add(c.Semaphores())
}

// changed reports whether anything happened.
func (s *Sum) changed() bool {
	return s.Came+s.Went != 0 || s.Objects.Delta() != 0 || s.Bytes.Delta() != 0 || s.Messages.Delta() != 0 ||
		s.Attachments.Delta() != 0 || s.Semaphores.Delta() != 0
}

// A Group is a sum and the texts in which its objects agree.
type Group = groups.Group[Sum]

// Sums adds up the objects by texts that were kept on reading. It returns the groups in
// which something changed, most growth first.
func (d *Diff) Sums(names []string) []*Group {
	var table groups.Table[Sum]
	var key []groups.Value
	for _, list := range [][]Change{d.Changes, d.same} {
		for i := range list {
			key = key[:0]
			for _, name := range names {
				key = append(key, d.Text(&list[i], name))
			}
			table.At(key).add(&list[i])
		}
	}
	all := slices.DeleteFunc(table.Groups(), func(g *Group) bool { return !g.Sum.changed() })
	slices.SortFunc(all, compareSums)
	return all
}

// compareSums orders sums by growth, most first.
func compareSums(x, y *Group) int {
	for _, q := range []func(*Sum) Quantity{
		func(s *Sum) Quantity { return s.Bytes }, func(s *Sum) Quantity { return s.Objects },
		func(s *Sum) Quantity { return s.Messages }, func(s *Sum) Quantity { return s.Semaphores },
		func(s *Sum) Quantity { return s.Attachments },
	} {
		if n := cmp.Compare(q(&y.Sum).Delta(), q(&x.Sum).Delta()); n != 0 {
			return n
		}
	}
	return groups.Compare(x.Key, y.Key)
}

// PerHour returns how much a quantity grew per hour, and false if the time is unknown.
func (d *Diff) PerHour(q Quantity) (float64, bool) {
	if d.Elapsed <= 0 {
		return 0, false
	}
	return float64(q.Delta()) / d.Elapsed.Hours(), true
}
