package account

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// ParsePasswd reads passwd(5) and calls add for each entry, in order.
func ParsePasswd(r io.Reader, add func(uid uint32, name string)) error {
	return parse(r, 4, add)
}

// ParseGroup reads group(5) and calls add for each entry, in order.
func ParseGroup(r io.Reader, add func(gid uint32, name string)) error {
	return parse(r, 3, add)
}

// maxLine bounds a line; groups can have many members. A longer line ends the parse
// with bufio.ErrTooLong.
const maxLine = 16 << 20

// parse reads lines whose first field is a name and whose fields 3 to fields are
// numbers. Like the C library it skips comments, malformed lines and the +/- lines of
// NIS.
func parse(r io.Reader, fields int, add func(id uint32, name string)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := strings.TrimLeft(lines.Text(), " \t")
		if line == "" || strings.IndexByte("#+-:", line[0]) >= 0 {
			continue
		}
		if id, name, ok := entry(line, fields); ok {
			add(id, name)
		}
	}
	return lines.Err()
}

func entry(line string, fields int) (id uint32, name string, ok bool) {
	name, rest, ok := strings.Cut(line, ":")
	if !ok {
		return 0, "", false
	}
	_, rest, ok = strings.Cut(rest, ":") // the password
	if !ok {
		return 0, "", false
	}
	for i := 2; i < fields; i++ {
		var number string
		number, rest, _ = strings.Cut(rest, ":")
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return 0, "", false
		}
		if i == 2 {
			id = uint32(n)
		}
	}
	return id, name, true
}

// ParseSources reads nsswitch.conf(5) and returns the sources of a database, or nil if
// it has no line.
func ParseSources(r io.Reader, database string) ([]string, error) {
	var sources []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		name, list, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) != database {
			continue
		}
		sources = strings.Fields(withoutActions(list)) // the last line wins
	}
	return sources, lines.Err()
}

// withoutActions removes actions such as [NOTFOUND=return] from list.
func withoutActions(list string) string {
	var kept strings.Builder
	for {
		head, rest, found := strings.Cut(list, "[")
		kept.WriteString(head)
		if !found {
			return kept.String()
		}
		kept.WriteByte(' ')
		_, list, _ = strings.Cut(rest, "]")
	}
}
