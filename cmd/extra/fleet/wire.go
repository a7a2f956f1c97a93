package fleet

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Service is the name of the agents' service.
const Service = "gipcs-agent"

// Protocol is the version of the protocol. It grows when an older side would misunderstand
// a newer one, and not when a column or a field is added.
const Protocol = 1

// A Verb is what an agent can be asked.
type Verb string

// The verbs. Each is answered as the sub-command of gipcs prints it.
const (
	List     Verb = "ls"
	Show     Verb = "show"
	Limits   Verb = "limits"
	Snapshot Verb = "snapshot" // as in a file, without compression
)

// Verbs returns all verbs.
func Verbs() []Verb { return []Verb{List, Show, Limits, Snapshot} }

// A Question says what a host is asked.
type Question struct {
	Protocol int `json:"protocol"`
	// Columns are those that ls prints. An agent leaves out columns that it does not know.
	Columns []string `json:"columns,omitempty"`
	// Where are expressions that all objects must satisfy.
	Where []string `json:"where,omitempty"`
	// WithMessages and IgnoreHidden are the flags of gipcs of these names.
	WithMessages bool `json:"with_messages,omitempty"`
	IgnoreHidden bool `json:"ignore_hidden,omitempty"`
	// Objects are what show shows, each KIND:REF.
	Objects []string `json:"objects,omitempty"`
	// Timeout is how long the asker waits, in milliseconds. It is no use to begin later.
	Timeout int64 `json:"timeout_ms"`
}

// Limits of a question.
const (
	maxQuestion   = 64 << 10 // bytes
	maxConditions = 32
	maxObjects    = 100
)

// Limits of an answer.
const (
	maxText    = 64 << 20 // bytes, uncompressed
	maxLine    = 4 << 20
	maxPacked  = 16 << 20 // bytes, compressed
	maxPage    = 512 << 10
	maxPages   = 1 << 15
	maxNotes   = 20
	maxNote    = 400 // bytes
	maxVersion = 40
)

// Headers of a page.
const (
	headerHost     = "Gipc-Host"
	headerVersion  = "Gipc-Version"  // of the program
	headerProtocol = "Gipc-Protocol" // of the agent
	headerAnswer   = "Gipc-Answer"   // the same in all pages of an answer
	headerPage     = "Gipc-Page"     // from 1
	headerStatus   = "Gipc-Status"   // exit status, on the last page alone
	headerNote     = "Gipc-Note"     // a message, on the last page
)

// Codes of errors that an agent answers.
const (
	codeRejected = "400" // the question is wrong
	codeFailed   = "500"
	codeBusy     = "503"
)

// maxHost is the length of the longest host name.
const maxHost = 253

// CheckHost returns an error unless name is the name of a host: letters, digits, dots,
// dashes and underscores.
func CheckHost(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	other := func(r rune) bool { return !strings.ContainsRune(letters, r) }
	if name == "" || len(name) > maxHost || strings.ContainsFunc(name, other) || name[0] == '-' || name[0] == '.' {
		return fmt.Errorf("%.60q is no host name: want letters, digits, dots, dashes and underscores, at most %d", name, maxHost)
	}
	return nil
}

// Subject returns the subject on which the agent of a host answers a verb.
func Subject(host string, verb Verb) string {
	return "gipc." + token(host) + "." + string(verb)
}

// token returns a host name as one token of a subject.
func token(host string) string { return strings.ReplaceAll(host, ".", "%2E") }

// Check returns an error if no agent would answer the question.
func (q *Question) Check() error {
	switch {
	case len(q.Where) > maxConditions:
		return fmt.Errorf("there are more than %d conditions", maxConditions)
	case len(q.Objects) > maxObjects:
		return fmt.Errorf("there are more than %d objects to show", maxObjects)
	}
	for _, text := range append(append([]string(nil), q.Where...), q.Objects...) {
		// The agent, perhaps root, would look at the path. An escape could hide it.
		if lower := strings.ToLower(text); strings.Contains(lower, "ftok") || strings.Contains(lower, "key") && strings.Contains(text, `\`) {
			return fmt.Errorf("%.60q: ftok: is not for other hosts, where a path has another key; give the key", text)
		}
	}
	return nil
}

func (q *Question) timeout() time.Duration {
	const least, most = time.Millisecond, 10 * time.Minute
	return min(max(time.Duration(q.Timeout)*time.Millisecond, least), most)
}

// cut returns text, or its beginning if it has more than n bytes.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "..."
}
