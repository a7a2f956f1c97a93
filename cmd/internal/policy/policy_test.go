package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sysvipc/gipc/cmd/internal/account"
)

func TestParse(t *testing.T) {
	p, err := Parse("p", []byte(`
max-objects = 1_000
max-bytes = "1GiB"
log = "journal"
lock = "/run/lock/x"
backup = {directory = "/b", max-age = "30d", max-size = 4096}
[[rule]]
name = "one"
select = "orphans"
[[rule]]
name = "two"
select = "unused"
kinds = ["sysv", "pshm"]
idle = "1d"
older-than = "2d"
where = 'size > 1'
owners = ["root", "7"]
except-owners = ["8"]
with-messages = true
ignore-hidden = true
[[keep]]
key = "0x4d2"
owner = "root"
[[keep]]
name = "/x"
`), account.New())
	if err != nil {
		t.Fatal(err)
	}
	if p.MaxObjects != 1000 || p.MaxBytes != 1<<30 || p.Log != Journal || p.Lock != "/run/lock/x" {
		t.Errorf("%+v", p)
	}
	if want := (Backup{Directory: "/b", MaxAge: 30 * 24 * time.Hour, MaxSize: 4096}); *p.Backup != want {
		t.Errorf("%+v", p.Backup)
	}
	var got []string
	for _, r := range p.Rules {
		got = append(got, r.Name)
		for _, c := range r.Selection {
			got = append(got, c.String())
		}
	}
	for _, k := range p.Keep {
		got = append(got, "keep")
		for _, c := range k.Selection {
			got = append(got, c.String())
		}
	}
	want := []string{
		"one", "orphan",
		"two", "unused", `!(kind startsWith "p") || kind == "pshm"`, `idle > duration("1d")`, `age > duration("2d")`,
		"size > 1", "uid == 0 || uid == 7", "!(uid == 8)",
		"keep", `key == key("0x000004d2")`, "uid == 0", "keep", `name == "/x"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r := p.Rules[1]; !r.WithMessages || !r.IgnoreHidden || p.Rules[0].WithMessages {
		t.Errorf("%+v", p.Rules)
	}
}

// mistakes are wrong policies. The place of a mistake is marked by ^ before it.
func mistakes() map[string]string {
	const rule = "[[rule]]\nname = \"a\"\nselect = \"orphans\"\n"
	return map[string]string{
		"^":                             "no [[rule]]",
		"x = 1\n^x = 2\n":               "",
		"max-objects = ^\n":             "",
		"^max-object = 1\n" + rule:      `a policy has no key "max-object"; the keys are max-objects, max-bytes, `,
		"max-objects = ^\"1\"\n" + rule: "max-objects must be a number, not a text",
		"max-objects = ^0\n" + rule:     "at least 1",
		"max-objects = ^-1\n" + rule:    "at least 1",
		"max-objects = ^1.5\n" + rule:   "not a number with a fraction",
		"max-bytes = ^\"0\"\n" + rule:   "must not be 0",
		"max-bytes = ^\"1GX\"\n" + rule: `invalid size "1GX"`,
		"max-bytes = ^true\n" + rule:    `a size, such as "1GiB", not true or false`,
		"log = ^\"x.log\"\n" + rule:     `log must be an absolute path or "journal", not "x.log"`,
		"lock = ^2020-01-01\n" + rule:   "not a date or time",
		"backup = ^1\n" + rule:          "a table, [backup]",
		"rule = ^1\n":                   "",
		"rule = [^1]\n":                 "a list of tables",
		rule + "[^backup]\n":            "needs a directory",
		rule + "[backup]\ndirectory = \"/b\"\nmax-age = ^\"0\"\n":                                 "max-age must not be 0",
		rule + "[backup]\ndirectory = \"/b\"\nmax-size = ^0\n":                                    "max-size must not be 0",
		rule + "[backup]\ndirectory = \"/b\"\n^keep = 0\n":                                        `[backup] has no key "keep"`,
		rule + "[[rule]]\nname = ^\"a\"\nselect = \"unused\"\nidle = \"1d\"\n":                    `an earlier rule is called "a"`,
		"[[^rule]]\nselect = \"orphans\"\n":                                                       "has no name",
		"[[^rule]]\nname = \"a\"\nidle = \"1d\"\n":                                                "has no select",
		"[[rule]]\nname = \"a\"\nselect = ^\"all\"\n":                                             `select cannot be "all"`,
		"[[rule]]\nname = \"a\"\n^select = \"unused\"\n":                                          "without idle",
		"[[rule]]\nname = ^\" \"\nselect = \"orphans\"\n":                                         "the name is empty",
		rule + "kinds = [\"pshm\"]\n^ignore-hidden = true\n":                                      "is for System V objects",
		"[[^rule]]\nname = \"a\"\nselect = \"orphans\"\nkinds = [\"psem\"]\nidle = \"1d\"\n":      "use older-than",
		rule + "^ignore-hidden = true\n":                                                          "ignore-hidden without idle",
		rule + "ignore-hidden = ^\"yes\"\n":                                                       "true or false, not a text",
		rule + "kinds = [\"shm\", ^\"segment\"]\n":                                                `no kind "segment"`,
		rule + "^kinds = []\n":                                                                    "empty list",
		rule + "kinds = ^\"shm\"\n":                                                               "a list of texts",
		rule + "owners = [\"root\", ^7]\n":                                                        "not of a number",
		rule + "owners = [^\"no such user\"]\n":                                                   `there is no user "no such user"`,
		rule + "idle = ^\"1\"\n":                                                                  `invalid duration "1"`,
		rule + "where = 'size ^> \"x\"'\n":                                                        "mismatched types",
		rule + "where = \"\\u0073ize ^\\\"x\\\" = 1\"\n":                                          "",
		rule + "where = '''\nsize > 1 &&\nnosuch'''\n":                                            "unknown name nosuch",
		rule + "where = \"\"\"\nsize > 1 && \\\n   ^nosuch == 1\"\"\"\n":                          "unknown name nosuch",
		rule + "# Größe\nwhere = 'owner == \"größe\" && ^nosuch == 1'\n":                          "unknown name nosuch",
		rule + "where = ^'1 == 1'\n":                                                              "mentions no field",
		rule + "[[^keep]]\n":                                                                      "says of no object",
		rule + "[[keep]]\nkey = ^\"x\"\n":                                                         "names no object",
		rule + "[[keep]]\nname = ^\"x\"\n":                                                        "no name of a POSIX object",
		rule + "[[keep]]\nname = ^\"/a\\u0000\"\n":                                                "no name of a POSIX object",
		rule + "[[keep]]\nname = ^\"/a/b\"\n":                                                     "no name of a POSIX object",
		rule + "[[^keep]]\nkey = \"0x4d2\"\nname = \"/x\"\n":                                      "protects nothing",
		rule + "[[^keep]]\nkey = \"0x4d2\"\nkinds = [\"pshm\"]\n":                                 "protects nothing",
		rule + "[[^keep]]\nkinds = [\"shm\"]\nwhere = 'nsems > 1'\n":                              "protects nothing",
		"[[^rule]]\nname = \"a\"\nselect = \"orphans\"\nkinds = [\"shm\"]\nwhere = 'nsems > 1'\n": "removes nothing",
		"log = ^\"/a\\u0000\"\n" + rule:                                                           "must be an absolute path",
		rule + "[[keep]]\nowner = ^\"no such user\"\n":                                            "no user",
		rule + "[[keep]]\n^names = 1\n":                                                           `a [[keep]] has no key "names"`,
	}
}

func TestMistakes(t *testing.T) {
	for marked, message := range mistakes() {
		text := strings.Replace(marked, "^", "", 1)
		_, err := Parse("p", []byte(text), account.New())
		var wrong *Error
		if !errors.As(err, &wrong) || !strings.Contains(wrong.Message, message) || strings.Contains(wrong.Message, "\n") {
			t.Errorf("%q: %v, want an Error with %q", text, err, message)
			continue
		}
		before, _, found := strings.Cut(marked, "^")
		if !found {
			continue
		}
		line := strings.Count(before, "\n") + 1
		column := len([]rune(before[strings.LastIndex(before, "\n")+1:])) + 1
		if wrong.Line != line || wrong.Column != column {
			t.Errorf("%q: %v, want %d:%d", text, err, line, column)
		}
	}
}

// TestTooLarge: a policy of the maximum size is read quickly, whatever it says, and a
// larger one is refused.
func TestTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy")
	var keys strings.Builder
	for i := 0; keys.Len() < maxSize-10; i++ {
		fmt.Fprintf(&keys, "k%d=1\n", i)
	}
	for size, want := range map[int]string{maxSize: ":1:1: ", maxSize + 1: "larger than 65536 bytes"} {
		if err := os.WriteFile(path, []byte(keys.String() + strings.Repeat("\n", 20))[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path, account.New()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: %v, want %q", size, err, want)
		}
	}
}

// TestExample: the policy that is installed as an example is right.
func TestExample(t *testing.T) {
	p, err := Read("../../../docs/examples/clean.toml", account.New())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Rules) != 3 || len(p.Keep) != 2 || p.Backup == nil || p.Log == "" || p.MaxObjects == 0 || p.MaxBytes == 0 {
		t.Errorf("%+v", p)
	}
}

// FuzzParse: no text makes Parse panic, and the place of a mistake is in the text.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("../../../docs/examples/clean.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	for marked := range mistakes() {
		f.Add([]byte(strings.Replace(marked, "^", "", 1)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := Parse("p", text, &account.Directory{})
		var wrong *Error
		if err == nil || !errors.As(err, &wrong) {
			return
		}
		lines := strings.Split(string(text), "\n")
		if wrong.Line < 1 || wrong.Line > len(lines) || wrong.Column < 1 || wrong.Column > len([]rune(lines[wrong.Line-1]))+1 {
			t.Errorf("%v is outside of %q", wrong, text)
		}
	})
}
