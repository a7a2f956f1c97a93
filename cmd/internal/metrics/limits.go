package metrics

import (
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/limits"
)

// Limits returns the metrics of limits.
func Limits(all []limits.Limit) []Family {
	limit := Family{Name: "gipc_limit", Help: "Limit of IPC objects, in the unit of the limit."}
	used := Family{Name: "gipc_limit_used", Help: "How much of a limit of IPC objects is in use."}
	for _, l := range all {
		labels := []Label{{"limit", label(strings.ToLower(l.Name))}, {"kind", l.Kind.String()}}
		labels = append(labels, placeLabel(l.Place)...)
		limit.Samples = append(limit.Samples, Sample{labels, float64(l.Value)})
		if l.Counted {
			used.Samples = append(used.Samples, Sample{labels, float64(l.Use)})
		}
	}
	return []Family{limit, used}
}

// placeLabel returns the label of a place. The caller's own place has none.
func placeLabel(place string) []Label {
	if place == "" {
		return nil
	}
	return []Label{{"place", label(place)}}
}
