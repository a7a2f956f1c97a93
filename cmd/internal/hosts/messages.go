package hosts

import (
	"strings"
	"unicode/utf8"
)

// maxMessages is the most bytes of messages that are kept for a host: a removal of 32,000
// objects reports each.
const maxMessages = 2 << 20

// maxMessage is the number of bytes after which a message is cut.
const maxMessage = 1000

// messages collects what a command writes to standard error.
type messages struct{ text []byte }

func (m *messages) Write(p []byte) (int, error) {
	m.text = append(m.text, p[:min(len(p), maxMessages-len(m.text))]...)
	return len(p), nil
}

func (m *messages) lines() (list []string) {
	for line := range strings.Lines(string(m.text)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if len(line) > maxMessage {
			cut := maxMessage
			for cut > 0 && !utf8.RuneStart(line[cut]) && cut > maxMessage-utf8.UTFMax {
				cut--
			}
			line = line[:cut] + "..."
		}
		list = append(list, line)
	}
	return list
}
