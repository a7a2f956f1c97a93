package metrics

import (
	"cmp"
	"slices"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/term"
)

// A Scan holds what was collected in one place.
type Scan struct {
	Place     string                          // "" is the caller's own place
	Groups    []*groups.Group[[]groups.Count] // the sums
	Inventory *inventory.Inventory            // its Objects are not used
	Want      inventory.Want                  // what was collected
	Took      time.Duration
}

// maxValues is how many values a label may have. Users choose the names of programs and
// containers, and a directory service may have any number of users.
const maxValues = 50

// other is the value of a label that stands for all values beyond maxValues.
const other = "other"

// Objects returns the metrics of the scans, and of their objects summed up by columns. The
// columns become labels. Values of labels are escaped as for a terminal; an unknown value
// is "". If a label has too many values, the values with the fewest objects become "other".
func Objects(by groups.By, measures []groups.Measure, scans []Scan) []Family {
	sums := new(groups.Table[[]groups.Count])
	for _, s := range scans {
		for _, g := range s.Groups {
			merge(sums, labelsOf(s.Place, g.Key), g.Sum)
		}
	}
	sums = limited(sums, len(by))
	list := sums.Groups()
	slices.SortFunc(list, func(a, b *groups.Group[[]groups.Count]) int { return groups.Compare(a.Key, b.Key) })
	var families []Family
	for i := range measures {
		if measures[i].Name == "orphans" && slices.Contains(by.Names(), "verdict") {
			continue // the label verdict shows them
		}
		families = append(families, measured(by, &measures[i], i, list))
	}
	return append(families, ofScans(scans)...)
}

// labelsOf returns the values of the labels; the place comes first.
func labelsOf(place string, key []groups.Value) []groups.Value {
	values := []groups.Value{{Text: place, Known: true}}
	for _, v := range key {
		values = append(values, groups.Value{Text: label(v.Text), Known: true})
	}
	return values
}

// label turns a text into the value of a label: UTF-8 that a terminal or a page can show
// safely.
func label(text string) string { return term.Escape(text) }

func merge(sums *groups.Table[[]groups.Count], key []groups.Value, counts []groups.Count) {
	to := sums.At(key)
	if *to == nil {
		*to = make([]groups.Count, len(counts))
	}
	for i := range counts {
		(*to)[i] = (*to)[i].Plus(counts[i])
	}
}

// limited returns the sums with at most maxValues values of each label, plus other. The
// first count of a sum is the number of objects.
func limited(sums *groups.Table[[]groups.Count], labels int) *groups.Table[[]groups.Count] {
	for column := 1; column <= labels; column++ {
		objects := make(map[string]uint64)
		for _, g := range sums.Groups() {
			objects[g.Key[column].Text] += g.Sum[0].N
		}
		if len(objects) <= maxValues {
			continue
		}
		kept := mostOf(objects)
		less := new(groups.Table[[]groups.Count])
		for _, g := range sums.Groups() {
			key := slices.Clone(g.Key)
			if !kept[key[column].Text] {
				key[column].Text = other
			}
			merge(less, key, g.Sum)
		}
		sums = less
	}
	return sums
}

// mostOf returns the values with the most objects.
func mostOf(objects map[string]uint64) map[string]bool {
	values := make([]string, 0, len(objects))
	for value := range objects {
		values = append(values, value)
	}
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(objects[b], objects[a]), cmp.Compare(a, b))
	})
	kept := make(map[string]bool)
	for _, value := range values[:maxValues] {
		kept[value] = true
	}
	return kept
}

// measured returns the family of a measure. index is the position of its count in a sum.
func measured(by groups.By, m *groups.Measure, index int, list []*groups.Group[[]groups.Count]) Family {
	family := familyOf(m.Name)
	for _, g := range list {
		if !g.Sum[index].Known() {
			continue
		}
		var labels []Label
		for i := range by {
			labels = append(labels, Label{by[i].Name, g.Key[1+i].Text})
		}
		labels = append(labels, placeLabel(g.Key[0].Text)...)
		family.Samples = append(family.Samples, Sample{labels, float64(g.Sum[index].N)})
	}
	return family
}

// familyOf returns the family of a measure without samples.
func familyOf(measure string) Family {
	switch measure {
	case "bytes":
		return Family{Name: "gipc_object_bytes", Help: "Bytes of the memory of IPC objects, or in their queues."}
	case "messages":
		return Family{Name: "gipc_messages", Help: "Messages in queues."}
	case "attachments":
		return Family{Name: "gipc_attachments", Help: "Attachments of shared memory segments."}
	case "waiting":
		return Family{Name: "gipc_waiting_threads", Help: "Threads that wait on semaphores and queues."}
	case "orphans":
		return Family{Name: "gipc_orphans", Help: "IPC objects that no living process can need."}
	default:
		return Family{Name: "gipc_objects", Help: "IPC objects."}
	}
}

// ofScans returns the metrics of the scans themselves.
func ofScans(scans []Scan) []Family {
	deadlocks := Family{Name: "gipc_deadlocks", Help: "Rings of processes that wait for each other's semaphores."}
	hidden := Family{Name: "gipc_hidden_processes", Help: "Processes that could not be inspected, wholly or in part."}
	unlisted := Family{Name: "gipc_collect_errors", Help: "Kinds of IPC objects of which some may not be counted."}
	took := Family{Name: "gipc_collect_duration_seconds", Help: "How long it took to collect the objects."}
	for _, s := range scans {
		sample := func(value float64) Sample { return Sample{placeLabel(s.Place), value} }
		if s.Want&inventory.WantWaiting != 0 {
			deadlocks.Samples = append(deadlocks.Samples, sample(float64(len(s.Inventory.Deadlocks))))
		}
		if s.Want != 0 {
			hidden.Samples = append(hidden.Samples, sample(float64(s.Inventory.Hidden.Count())))
		}
		unlisted.Samples = append(unlisted.Samples, sample(float64(len(s.Inventory.Unlisted))))
		took.Samples = append(took.Samples, sample(s.Took.Seconds()))
	}
	return []Family{deadlocks, hidden, unlisted, took}
}
