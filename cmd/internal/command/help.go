package command

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// commandHelp is cli's template, except that flags in categories keep their order too.
const commandHelp = `NAME:
   {{template "helpNameTemplate" .}}

USAGE:
   {{template "usageTemplate" .}}{{if .Description}}

DESCRIPTION:
   {{template "descriptionTemplate" .}}{{end}}{{if .VisibleFlags}}

OPTIONS:{{range .VisibleFlags}}{{if eq .GetCategory ""}}
   {{.String}}{{end}}{{end}}{{$of := ""}}{{range .VisibleFlags}}{{if ne .GetCategory ""}}{{if ne .GetCategory $of}}{{$of = .GetCategory}}

{{$of}}:{{end}}
   {{.String}}{{end}}{{end}}{{end}}
`

// flagLine returns a flag's line of the help, such as "-w, --where EXPR". The value
// appears once, so that the line fits 80 columns.
func flagLine(f cli.Flag) string {
	doc, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	before, value, after := quoted(doc.GetUsage())
	usage := before + value + after
	if rest, ok := strings.CutPrefix(after, ": "); ok && before == "" {
		usage = rest // it describes the value
	}
	names := f.Names()
	line := "    --" + names[0]
	if len(names) > 1 {
		line = "-" + names[1] + ", --" + names[0]
	}
	if doc.TakesValue() && value != "" {
		line += " " + value
	}
	text := strings.Trim(doc.GetDefaultText(), `"`)
	if doc.TakesValue() && text != "" && !strings.HasPrefix(usage, text+" ") {
		usage += " (default: " + text + ")"
	}
	return line + "\t" + usage
}

// quoted splits a usage at the word in back quotes, which names the flag's value.
func quoted(usage string) (before, value, after string) {
	before, rest, ok := strings.Cut(usage, "`")
	if !ok {
		return usage, "", ""
	}
	value, after, _ = strings.Cut(rest, "`")
	return before, value, after
}
