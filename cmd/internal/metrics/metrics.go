// Package metrics turns objects and limits into metrics for Prometheus, and writes them in
// its text format. There are few labels, each with few values: no label holds an
// identifier, a key or a process id.
package metrics

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// A Family is a metric with all of its samples. Every metric is a gauge of the present
// state.
type Family struct {
	Name    string
	Help    string // one line, without a backslash
	Samples []Sample
}

// A Sample is a value under labels. Samples of a family have the same label names, and no
// two have the same labels.
type Sample struct {
	Labels []Label
	Value  float64
}

// A Label is a label of a sample. Its value is UTF-8.
type Label struct{ Name, Value string }

// Write writes families in the text format 0.0.4. Families without samples are left out.
func Write(w io.Writer, families []Family) error {
	var b bytes.Buffer
	for i := range families {
		appendFamily(&b, &families[i])
	}
	_, err := w.Write(b.Bytes())
	return err
}

func appendFamily(b *bytes.Buffer, f *Family) {
	if len(f.Samples) == 0 {
		return
	}
	b.WriteString("# HELP " + f.Name + " " + f.Help + "\n# TYPE " + f.Name + " gauge\n")
	for _, s := range f.Samples {
		b.WriteString(f.Name)
		separator := byte('{')
		for _, l := range s.Labels {
			b.WriteByte(separator)
			b.WriteString(l.Name + `="`)
			b.WriteString(escape(l.Value))
			b.WriteByte('"')
			separator = ','
		}
		if len(s.Labels) > 0 {
			b.WriteByte('}')
		}
		b.WriteByte(' ')
		b.Write(strconv.AppendFloat(b.AvailableBuffer(), s.Value, 'f', -1, 64))
		b.WriteByte('\n')
	}
}

// escape escapes the characters that the format does not allow in the value of a label. The
// value must already be UTF-8.
func escape(value string) string {
	if !strings.ContainsAny(value, "\\\"\n") {
		return value
	}
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value)
}
