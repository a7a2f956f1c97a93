package account

import (
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// A database is passwd or group.
type database struct {
	name    string // in nsswitch.conf and for getent
	path    string
	sources string // the path of nsswitch.conf
	parse   func(io.Reader, func(uint32, string)) error

	read     bool
	names    map[uint32]string // "" for an id without a name
	expected map[uint32]struct{}

	// Neighbouring rows mostly have the same owner.
	lastID    uint32
	lastName  string
	lastValid bool
}

func (b *database) expect(id uint32) {
	if b.lastValid && id == b.lastID {
		return
	}
	if _, known := b.names[id]; known {
		return
	}
	if b.expected == nil {
		b.expected = make(map[uint32]struct{})
	}
	b.expected[id] = struct{}{}
}

func (b *database) lookup(id uint32) (name string, ok bool) {
	if !b.lastValid || id != b.lastID {
		b.lastID, b.lastName, b.lastValid = id, b.find(id), true
	}
	return b.lastName, b.lastName != ""
}

func (b *database) find(id uint32) string {
	if !b.read {
		b.read = true
		b.names = make(map[uint32]string)
		b.readFile(b.add)
	}
	name, known := b.names[id]
	if !known {
		b.expect(id)
		b.ask()
		name = b.names[id]
	}
	return name
}

// add keeps the first name of each id, as getpwuid(3) does.
func (b *database) add(id uint32, name string) {
	if b.names[id] == "" {
		b.names[id] = name
	}
}

// idOf returns the number of the first entry called name.
func (b *database) idOf(name string) (id uint32, ok bool) {
	take := func(i uint32, _ string) {
		if !ok {
			id, ok = i, true
		}
	}
	b.readFile(func(i uint32, n string) {
		if n == name {
			take(i, n)
		}
	})
	// getent would take some strings for a number or an option. It may also return an
	// entry spelt differently: some directories ignore case.
	isName := strings.Trim(strings.TrimSpace(name), "+0123456789") != "" && name[0] != '-'
	if !ok && isName && b.hasMoreSources() {
		b.getent([]string{name}, take)
	}
	return id, ok
}

// readFile reads what it can: a listing with numbers is better than none.
func (b *database) readFile(add func(uint32, string)) {
	f, err := os.Open(b.path)
	if err != nil {
		return
	}
	defer f.Close()
	_ = b.parse(f, add)
}

// ask looks up all expected ids that the file lacks. Ids without a name are recorded
// too.
func (b *database) ask() {
	var missing []string
	for id := range b.expected {
		if _, known := b.names[id]; !known {
			missing = append(missing, strconv.FormatUint(uint64(id), 10))
			b.names[id] = ""
		}
	}
	clear(b.expected)
	if b.hasMoreSources() {
		b.getent(missing, b.add)
	}
}

func (b *database) hasMoreSources() bool {
	f, err := os.Open(b.sources)
	if err != nil {
		return false
	}
	defer f.Close()
	sources, err := ParseSources(f, b.name)
	for _, source := range sources {
		if source != "files" {
			return err == nil
		}
	}
	return false
}

// maxKeys keeps the command line well below the kernel's limit.
const maxKeys = 5000

// getent looks up ids or names. If some are missing it still prints the others, and
// exits with status 2.
func (b *database) getent(keys []string, add func(uint32, string)) {
	for len(keys) > 0 {
		n := min(len(keys), maxKeys)
		cmd := exec.Command("getent", append([]string{b.name}, keys[:n]...)...)
		out, err := cmd.StdoutPipe()
		if err != nil || cmd.Start() != nil {
			return
		}
		_ = b.parse(out, add)
		_ = cmd.Wait()
		keys = keys[n:]
	}
}
