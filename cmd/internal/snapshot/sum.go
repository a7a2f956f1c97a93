package snapshot

import (
	"cmp"
	"slices"
	"strings"
)

// A Sum adds up the objects whose texts agree.
type Sum struct {
	Key        []Text
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

// Sums adds up the objects by texts that were kept on reading. It returns the sums of those
// groups in which something changed, most growth first.
func (d *Diff) Sums(names []string) []*Sum {
	groups := make(map[string]*Sum)
	var all []*Sum
	var id []byte
	for _, list := range [][]Change{d.Changes, d.same} {
		for i := range list {
			texts := make([]Text, len(names))
			id = id[:0]
			for j, name := range names {
				texts[j] = d.Text(&list[i], name)
				id = append(id, texts[j].Text...)
				id = append(id, 0)
			}
			s := groups[string(id)]
			if s == nil {
				s = &Sum{Key: texts}
				groups[string(id)] = s
				all = append(all, s)
			}
			s.add(&list[i])
		}
	}
	all = slices.DeleteFunc(all, func(s *Sum) bool { return !s.changed() })
	slices.SortFunc(all, compareSums)
	return all
}

// compareSums orders sums by growth, most first.
func compareSums(x, y *Sum) int {
	for _, q := range []func(*Sum) Quantity{
		func(s *Sum) Quantity { return s.Bytes }, func(s *Sum) Quantity { return s.Objects },
		func(s *Sum) Quantity { return s.Messages }, func(s *Sum) Quantity { return s.Semaphores },
		func(s *Sum) Quantity { return s.Attachments },
	} {
		if n := cmp.Compare(q(y).Delta(), q(x).Delta()); n != 0 {
			return n
		}
	}
	return slices.CompareFunc(x.Key, y.Key, func(a, b Text) int { return strings.Compare(a.Text, b.Text) })
}

// PerHour returns how much a quantity grew in an hour, and false if the time is unknown.
func (d *Diff) PerHour(q Quantity) (float64, bool) {
	if d.Elapsed <= 0 {
		return 0, false
	}
	return float64(q.Delta()) / d.Elapsed.Hours(), true
}
