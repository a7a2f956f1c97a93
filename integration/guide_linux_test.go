package integration_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// guide is the English guide. TestGuide runs its programs; the translations hold the same
// programs.
const guide = "../docs/guide"

func translations() []string { return []string{"zh-CN"} }

// A block is a fenced part of a chapter.
type block struct {
	language string
	varies   string // a regular expression for output that differs each time
	lines    []string
}

// A chapter is a file of the guide.
type chapter struct {
	name     string
	headings []string // only the marks, such as ##
	blocks   []block
}

// readChapters returns the chapters in a directory in order, README.md first.
func readChapters(t *testing.T, dir string) (all []chapter) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	check(t, err)
	slices.SortFunc(files, func(a, b string) int {
		if isIndex := strings.HasSuffix(a, "README.md"); isIndex != strings.HasSuffix(b, "README.md") {
			return map[bool]int{true: -1, false: 1}[isIndex]
		}
		return strings.Compare(a, b)
	})
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(t, err)
		all = append(all, parseChapter(filepath.Base(file), string(text)))
	}
	return all
}

// parseChapter finds headings and blocks. A comment before a block may say what varies:
// <!-- varies: REGEXP -->.
func parseChapter(name, text string) chapter {
	c := chapter{name: name}
	varies, inside := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && inside:
			inside = false
		case fence:
			inside = true
			c.blocks = append(c.blocks, block{language: language, varies: varies})
			varies = ""
		case inside:
			last := &c.blocks[len(c.blocks)-1]
			last.lines = append(last.lines, line)
		case strings.HasPrefix(line, "#"):
			marks, _, _ := strings.Cut(line, " ")
			c.headings = append(c.headings, marks)
		case strings.HasPrefix(line, "<!-- varies: "):
			varies = strings.TrimSuffix(strings.TrimPrefix(line, "<!-- varies: "), " -->")
		}
	}
	return c
}

// TestGuideTranslations: translations have the same chapters, headings and programs.
func TestGuideTranslations(t *testing.T) {
	english := readChapters(t, guide)
	if len(english) < 2 {
		t.Fatalf("the guide has %d chapters", len(english))
	}
	for _, language := range translations() {
		other := readChapters(t, filepath.Join(guide, language))
		for i := range max(len(english), len(other)) {
			if i >= len(english) || i >= len(other) || english[i].name != other[i].name {
				t.Fatalf("%s: chapters %v, want %v", language, names(other), names(english))
			}
			want(t, language+"/"+other[i].name+": headings", other[i].headings, english[i].headings)
			want(t, language+"/"+other[i].name+": number of blocks", len(other[i].blocks), len(english[i].blocks))
			for b := range min(len(other[i].blocks), len(english[i].blocks)) {
				want(t, fmt.Sprintf("%s/%s: block %d", language, other[i].name, b+1),
					fmt.Sprintf("%q", other[i].blocks[b]), fmt.Sprintf("%q", english[i].blocks[b]))
			}
		}
	}
}

func names(all []chapter) (names []string) {
	for _, c := range all {
		names = append(names, c.name)
	}
	return names
}

// TestGuide runs the guide: everything that its chapters tell a reader to type, in one
// shell in order, and each Go fragment as a separate program. The output must match the
// guide, and nothing may be left after a chapter.
func TestGuide(t *testing.T) {
	if testing.Short() || ipctest.UnderRace() {
		t.Skip("builds all programs, as a reader does")
	}
	ipctest.SkipUnderQEMU(t, "it would run the programs of this machine")
	chapters := readChapters(t, guide)
	pieces := buildPieces(t, chapters)
	sh := startShell(t)
	n := 0
	for _, c := range chapters {
		for _, b := range c.blocks {
			switch b.language {
			case "console":
				for _, step := range steps(b.lines) {
					sh.run(c.name, step, b.varies)
				}
			case "go":
				code, output, _ := strings.Cut(strings.Join(b.lines, "\n"), "// Output:\n")
				if code != "" {
					sh.run(c.name, step{fmt.Sprintf("%s %d", pieces, n), strings.Split(uncomment(output), "\n")}, b.varies)
				}
				n++
			case "text":
			default:
				t.Errorf("%s: no test runs a block of %q", c.name, b.language)
			}
		}
		sh.run(c.name+", what is left", step{"gipcs ls --no-headings; ls /dev/shm /dev/mqueue | grep -v :", nil}, "")
	}
}

// uncomment removes comment marks.
func uncomment(text string) string {
	return regexp.MustCompile(`(?m)^// ?`).ReplaceAllString(text, "")
}

// A step is a command and its expected output.
type step struct {
	command string
	output  []string
}

// steps splits a session at its prompts. A command continues in lines that begin with
// "> ".
func steps(lines []string) (all []step) {
	for _, line := range lines {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, step{command: command})
			continue
		}
		last := &all[len(all)-1]
		if more, ok := strings.CutPrefix(line, "> "); ok && len(last.output) == 0 {
			last.command += "\n" + more
			continue
		}
		last.output = append(last.output, line)
	}
	return all
}

// A shell runs the steps in its own IPC namespace, with its own file systems for POSIX
// objects.
type shell struct {
	t    *testing.T
	in   *bufio.Writer
	pipe *os.File
	out  *bufio.Reader // of the pipe
}

const mounts = `
mount -t tmpfs -o mode=1777,size=64m tmpfs /dev/shm || exit
mkdir -p /dev/mqueue && mount -t mqueue none /dev/mqueue || exit
`

func startShell(t *testing.T) *shell {
	t.Helper()
	cmd := exec.Command("bash", "--norc", "--noprofile")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), "LC_ALL=C", "TZ=UTC", "NO_COLOR=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWIPC | unix.CLONE_NEWNS, Setpgid: true}
	stdin, err := cmd.StdinPipe()
	check(t, err)
	reading, writing, err := os.Pipe()
	check(t, err)
	var said bytes.Buffer // the shell's own messages, such as those about killed jobs
	cmd.Stdout, cmd.Stderr = writing, &said
	if err := cmd.Start(); err != nil {
		t.Skipf("no namespaces of its own: %v", err)
	}
	writing.Close()
	t.Cleanup(func() {
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // with everything that it started
		_ = cmd.Wait()
		reading.Close()
		if t.Failed() {
			t.Logf("the shell says: %s", &said)
		}
	})
	sh := &shell{t: t, in: bufio.NewWriter(stdin), pipe: reading, out: bufio.NewReader(reading)}
	sh.write(mounts)
	return sh
}

func (sh *shell) write(text string) {
	sh.t.Helper()
	_, err := sh.in.WriteString(text)
	check(sh.t, err)
	check(sh.t, sh.in.Flush())
}

// run runs a step and checks its output. Like a reader who pastes everything, it does
// not wait for background commands or their output.
func (sh *shell) run(where string, s step, varies string) {
	sh.t.Helper()
	const end = "--- end of output ---"
	// Messages about jobs and about module downloads.
	aside := regexp.MustCompile(`^bash: line \d+: +\d+ (Killed|Terminated) |^go: downloading `)
	sh.write("{ " + s.command + "\n} </dev/null 2>&1\necho; echo '" + end + "'\n")
	check(sh.t, sh.pipe.SetReadDeadline(time.Now().Add(patience)))
	var got []string
	for {
		line, err := sh.out.ReadString('\n')
		if err != nil {
			sh.t.Fatalf("%s: $ %s\n%v after %q", where, s.command, err, append(got, line))
		}
		if line == end+"\n" {
			break
		}
		if !aside.MatchString(line) {
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
	}
	if !outputPattern(s.output, varies).MatchString(normal(got)) {
		sh.t.Fatalf("%s: $ %s\ngot\n%s\nwant\n%s", where, s.command, normal(got), normal(s.output))
	}
}

// normal removes differences that depend on column widths.
func normal(lines []string) string {
	text := regexp.MustCompile(` +`).ReplaceAllString(strings.Join(lines, "\n"), " ")
	text = strings.ReplaceAll(text, " \n", "\n")
	return strings.Trim(text, "\n ")
}

// outputPattern returns a pattern for lines in which text that matches varies may be
// replaced by other text that does, and a line of three dots by any lines.
func outputPattern(lines []string, varies string) *regexp.Regexp {
	text := normal(lines)
	any := regexp.MustCompile(`(?m)^\.\.\.$`)
	if varies != "" {
		any = regexp.MustCompile(any.String() + "|" + varies) // (?m) is for both
	}
	var pattern strings.Builder
	for {
		at := any.FindStringIndex(text)
		if at == nil || at[0] == at[1] {
			break
		}
		pattern.WriteString(regexp.QuoteMeta(text[:at[0]]))
		if text[at[0]:at[1]] == "..." {
			pattern.WriteString(`(?s:.*)`)
		} else {
			pattern.WriteString("(?m:" + varies + ")")
		}
		text = text[at[1]:]
	}
	return regexp.MustCompile("^" + pattern.String() + regexp.QuoteMeta(text) + "$")
}

// packages returns the packages that the Go fragments use.
func packages() []string {
	return []string{
		"context", "errors", "fmt", "io", "net", "os", "sync/atomic", "time", "golang.org/x/sys/unix",
		"github.com/sysvipc/gipc/posix", "github.com/sysvipc/gipc/semops",
		"github.com/sysvipc/gipc/shmring", "github.com/sysvipc/gipc/shmsync", "github.com/sysvipc/gipc/sysv",
	}
}

// buildPieces builds one program from the Go fragments and returns its path. Its
// argument selects the fragment to run.
func buildPieces(t *testing.T, chapters []chapter) string {
	t.Helper()
	var body, table strings.Builder
	n := 0
	for _, c := range chapters {
		for _, b := range c.blocks {
			if b.language != "go" {
				continue
			}
			fmt.Fprintf(&body, "//line %s:1\nfunc piece%d(ctx context.Context) error {\n%s\nreturn nil\n}\n", c.name, n, strings.Join(b.lines, "\n"))
			fmt.Fprintf(&table, "case \"%d\": err = piece%d(ctx)\n", n, n)
			n++
		}
	}
	text := "func main() {\nctx := context.Background()\nvar err error\nswitch os.Args[1] {\n" + table.String() +
		"}\nif err != nil { fmt.Println(err); os.Exit(1) }\n}\n" + body.String()
	program := "package main\n"
	for _, path := range packages() {
		if strings.Contains(text, path[strings.LastIndexByte(path, '/')+1:]+".") {
			program += fmt.Sprintf("import %q\n", path)
		}
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "main.go"), program+text)
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "piece"), filepath.Join(dir, "main.go"))
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "piece")
}

// TestLinks follows the links from every document to files and headings in this
// repository.
func TestLinks(t *testing.T) {
	links := 0
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(withoutCode(string(text)), -1) {
			links++
			if err := follow(path, m[1]); err != nil {
				t.Errorf("%s: %s: %v", path, m[1], err)
			}
		}
		return nil
	})
	check(t, err)
	if links == 0 {
		t.Error("no links")
	}
}

// withoutCode removes fenced and backquoted text.
func withoutCode(text string) string {
	text = regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
	return regexp.MustCompile("`[^`\n]*`").ReplaceAllString(text, "")
}

func follow(from, link string) error {
	if strings.Contains(link, "://") {
		return nil
	}
	file, heading, _ := strings.Cut(link, "#")
	path := from
	if file != "" {
		path = filepath.Join(filepath.Dir(from), file)
	}
	if _, err := os.Stat(path); err != nil || heading == "" {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		slug := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		if strings.ReplaceAll(slug, " ", "-") == heading {
			return nil
		}
	}
	return fmt.Errorf("no heading %q", heading)
}
