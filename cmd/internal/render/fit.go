package render

import "cmp"

// omit returns which columns to omit so that the rest is at most Options.MaxWidth wide, or
// nil for none. A column of width w takes w+gap, and the whole takes fixed more.
func (p *printer) omit(widths []int, gap, fixed int) []bool {
	limit := p.options.MaxWidth
	if limit <= 0 {
		return nil
	}
	total := fixed
	for _, w := range widths {
		total += w + gap
	}
	var omitted []bool
	for total > limit {
		least := -1
		for i, c := range p.columns {
			if c.Rank > 0 && (omitted == nil || !omitted[i]) && (least < 0 || cmp.Less(p.columns[least].Rank, c.Rank)) {
				least = i
			}
		}
		if least < 0 {
			break
		}
		if omitted == nil {
			omitted = make([]bool, len(p.columns))
		}
		omitted[least] = true
		total -= widths[least] + gap
	}
	p.report(omitted)
	return omitted
}

func (p *printer) report(omitted []bool) {
	if omitted == nil || p.options.Omitted == nil {
		return
	}
	var headings []string
	for i, yes := range omitted {
		if yes {
			headings = append(headings, p.columns[i].heading())
		}
	}
	p.options.Omitted(headings)
}

// without returns the elements of list that are not omitted.
func without[T any](list []T, omitted []bool) []T {
	if list == nil || omitted == nil {
		return list
	}
	var rest []T
	for i, e := range list {
		if !omitted[i] {
			rest = append(rest, e)
		}
	}
	return rest
}
