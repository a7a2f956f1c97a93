package main

import (
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command/mantest"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/term"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{"wait": playWait})
	ipctest.MainPOSIX(m)
}

func TestManPage(t *testing.T) { mantest.Check(t, app(), "../../../docs/man/gipcs-top.8") }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var update = flag.Bool("update", false, "rewrite the golden files")

// A world is a worker with objects that a test makes up.
type world struct {
	names    *account.Directory
	objects  []inventory.Object
	now      time.Time
	requests []request
	plans    []identity
	removed  []identity
	foreign  bool // the caller may not remove anything
}

func newWorld() *world {
	return &world{names: account.New(), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// collect evaluates the filter as the collector does, two seconds after the last time.
func (w *world) collect(r request) *sample {
	w.requests = append(w.requests, r)
	w.now = w.now.Add(2 * time.Second)
	s := &sample{taken: w.now}
	inv := &inventory.Inventory{Taken: w.now, Objects: slices.Clone(w.objects)}
	c := collector{names: w.names, waiters: make(map[int]figure)}
	for i := range inv.Objects {
		if set := inv.Objects[i].Set; set != nil {
			c.waiters[set.ID] = known(uint64(set.NSems))
		}
	}
	s.rows = c.rows(inv, r.filter, s)
	s.limits = []limits.Limit{
		{Name: "SHMMNI", Kind: ref.Shm, About: "segments", Value: 4096, Use: 4000, Counted: true},
		{Name: "SHMALL", Kind: ref.Shm, About: "pages of all segments", Value: 1<<64 - 1, Use: 1, Counted: true},
		{Name: "MSGMNI", Kind: ref.Msg, About: "message queues", Value: 100, Use: 1, Counted: true},
		{Name: "MSGMAX", Kind: ref.Msg, About: "bytes of a message", Value: 8192},
		{Name: "size", Kind: ref.PShm, About: "bytes of memory in /dev/shm", Value: 1000, Use: 500, Counted: true},
	}
	if r.detail != nil {
		s.detail = &description{*r.detail, "kind:  " + r.detail.Kind.String() + "\nreasons:  " + strings.Repeat("because ", 30) + "\n"}
	}
	return s
}

func (w *world) plan(id identity) *plan {
	w.plans = append(w.plans, id)
	p := &plan{id: id, lines: []string{"segment of root, 4K", "verdict: orphan", "- nobody is attached", "- made by \x1b[31mevil\n"}}
	if p.target = new(removal.Target); w.foreign {
		p.target, p.why = nil, id.String()+" belongs to postgres; only its owner or root can remove it"
	}
	return p
}

func (w *world) remove(p *plan) string {
	w.removed = append(w.removed, p.id)
	w.objects = slices.DeleteFunc(w.objects, func(o inventory.Object) bool { return identityOf(&o) == p.id })
	return p.id.String() + " was removed"
}

func (w *world) wait(time.Duration) {}

func (w *world) segment(id int, size int64, attached uint64) {
	w.objects = append(w.objects, inventory.Object{
		Kind: ref.Shm, Segment: &sysv.SegmentInfo{ID: id, Perm: sysv.Perm{Mode: 0o600}, Size: size, NAttch: attached},
		Use: &inventory.Use{},
	})
}

func (w *world) queue(id int, messages, bytes uint64) {
	w.objects = append(w.objects, inventory.Object{
		Kind: ref.Msg, Queue: &sysv.QueueInfo{ID: id, Perm: sysv.Perm{Mode: 0o600}, QNum: messages, CBytes: bytes, QBytes: 16384},
	})
}

func (w *world) set(id, nsems int) {
	w.objects = append(w.objects, inventory.Object{Kind: ref.Sem, Set: &sysv.SetInfo{ID: id, Perm: sysv.Perm{Mode: 0o600}, NSems: nsems}})
}

func (w *world) file(name string, ino uint64, memory int64) {
	w.objects = append(w.objects, inventory.Object{
		Kind: ref.PShm, PShm: &posix.FileInfo{Name: name, Ino: ino, Mode: fs.FileMode(0o600), Size: 1 << 20, Memory: memory},
	})
}

// A session is a model, and what its commands have left to do.
type session struct {
	t testing.TB
	*model
	world *world
	alarm tea.Msg // that has been set; it rings when the test says so
	ended bool
}

func newSession(t testing.TB, w *world, width, height int) *session {
	o, err := parseOrder("-bytes")
	check(t, err)
	m := &model{worker: w, interval: 2 * time.Second, order: o, glyphs: unicodeGlyphs(), tracks: make(map[identity]*track)}
	s := &session{t: t, model: m, world: w}
	s.do(m.Init())
	s.send(tea.WindowSizeMsg{Width: width, Height: height})
	return s
}

// send passes a message to the model, and carries out what it asks for.
func (s *session) send(msg tea.Msg) {
	_, cmd := s.Update(msg)
	s.do(cmd)
}

func (s *session) do(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case alarmMsg:
		s.alarm = msg
	case tea.QuitMsg:
		s.ended = true
	default:
		s.send(msg)
	}
}

// tick lets time pass until the next sample.
func (s *session) tick() { s.send(s.alarm) }

// press presses keys, which are named as in bubbletea.
func (s *session) press(keys ...string) {
	for _, key := range keys {
		s.send(pressOf(key))
	}
}

func pressOf(key string) tea.KeyPressMsg {
	codes := map[string]rune{
		"up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight, "home": tea.KeyHome, "end": tea.KeyEnd,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab,
		"backspace": tea.KeyBackspace, "delete": tea.KeyDelete, "f1": tea.KeyF1, "f6": tea.KeyF6,
	}
	switch code, special := codes[key]; {
	case special:
		return tea.KeyPressMsg{Code: code}
	case strings.HasPrefix(key, "ctrl+"):
		return tea.KeyPressMsg{Code: rune(key[len(key)-1]), Mod: tea.ModCtrl}
	default:
		code, _ := utf8.DecodeRuneInString(key)
		return tea.KeyPressMsg{Code: code, Text: key}
	}
}

func (s *session) write(text string) {
	for _, r := range text {
		s.press(string(r))
	}
}

var styles = regexp.MustCompile("\x1b\\[[0-9;]*m")

// screen returns the screen without colours. Every line must fit, and contain nothing that a
// terminal would obey.
func (s *session) screen() string {
	s.t.Helper()
	text := styles.ReplaceAllString(s.View().Content, "")
	lines := strings.Split(text, "\n")
	if len(lines) > s.height {
		s.t.Fatalf("%d lines on a terminal of %d:\n%s", len(lines), s.height, text)
	}
	for i, l := range lines {
		if w := term.StringWidth(l); w > s.width || strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r == 0x202e }) {
			s.t.Fatalf("line %d has %d columns: %q", i, w, l)
		}
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// expect fails the test unless the screen has all of the texts.
func (s *session) expect(texts ...string) {
	s.t.Helper()
	screen := s.screen()
	for _, text := range texts {
		if !strings.Contains(screen, text) {
			s.t.Errorf("the screen lacks %q:\n%s", text, screen)
		}
	}
}

// selectedLine returns the line that is highlighted.
func (s *session) selectedLine() string {
	for l := range strings.SplitSeq(s.View().Content, "\n") {
		if strings.Contains(l, "\x1b[7m") {
			return styles.ReplaceAllString(l, "")
		}
	}
	return ""
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		check(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	check(t, err)
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

// busyWorld has objects of several kinds, one of them with a name that attacks terminals.
func busyWorld() *world {
	w := newWorld()
	for i := range 30 {
		w.segment(65536+i, int64(i+1)<<20, uint64(i%3))
	}
	w.queue(7, 12, 3000)
	w.set(3, 2)
	w.file("/frames", 11, 40960)
	w.file("/\x1b]0;evil\x07\u202e日本語の名前がとても長い名前", 12, 4096)
	return w
}

func TestScreens(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		w := busyWorld()
		s := newSession(t, w, size[0], size[1])
		for i := range 12 {
			w.objects[30].Queue = &sysv.QueueInfo{ID: 7, QNum: uint64(12 + i*i), CBytes: uint64(3000 + 500*i), QBytes: 16384}
			s.tick()
		}
		name := fmt.Sprintf("%dx%d-", size[0], size[1])
		golden(t, name+"table", s.screen())
		s.press("enter")
		golden(t, name+"detail", s.screen())
		s.press("esc", "l")
		golden(t, name+"limits", s.screen())
		s.press("esc", "?")
		golden(t, name+"keys", s.screen())
		s.press("esc", "x")
		golden(t, name+"question", s.screen())
		s.press("esc", "/")
		s.write("kind == ")
		golden(t, name+"filter", s.screen())
	}
}

// TestSelection moves the selected object about: it stays selected.
func TestSelection(t *testing.T) {
	w := newWorld()
	for i := range 50 {
		w.queue(i, 0, uint64(1000-i))
	}
	s := newSession(t, w, 80, 24)
	s.press("down", "down", "down")
	if l := s.selectedLine(); !strings.HasPrefix(l, "msg:3 ") {
		t.Fatalf("selected: %s", l)
	}
	for i := range 50 { // now the order is the other one
		w.objects[i].Queue = &sysv.QueueInfo{ID: i, CBytes: uint64(i), QBytes: 16384}
	}
	s.tick()
	if s.cursor != 3 {
		t.Errorf("the row moved away from under the cursor: %d", s.cursor)
	}
	for range frozenSamples {
		s.tick()
	}
	if l := s.selectedLine(); !strings.HasPrefix(l, "msg:3 ") || s.cursor != 46 {
		t.Errorf("selected: %s, row %d", l, s.cursor)
	}
	w.objects = slices.Delete(w.objects, 0, 3)
	w.queue(100, 0, 5000)
	s.tick()
	if l := s.selectedLine(); !strings.HasPrefix(l, "msg:3 ") {
		t.Errorf("after others came and went: %s", l)
	}
	s.send(tea.WindowSizeMsg{Width: 100, Height: 12})
	if l := s.selectedLine(); !strings.HasPrefix(l, "msg:3 ") {
		t.Errorf("after a resize: %s", l)
	}
	w.objects = w.objects[1:] // without msg:3
	s.tick()
	if l := s.selectedLine(); l == "" || strings.HasPrefix(l, "msg:3 ") {
		t.Errorf("after its end: %s", l)
	}
	w.objects = nil
	s.tick()
	s.expect("There are no objects.")
	s.press("x", "enter", "y", "down", "end")
	if len(w.plans)+len(w.removed) > 0 {
		t.Error("nothing was removed, or planned")
	}
}

// TestReusedName replaces a POSIX object by another one of the same name.
func TestReusedName(t *testing.T) {
	w := newWorld()
	w.file("/a", 1, 4096)
	s := newSession(t, w, 80, 24)
	w.file("/a", 2, 8192)
	w.objects = w.objects[1:]
	s.tick()
	if got := s.rows[0].past(byteMeasure, 9); len(got) != 1 {
		t.Errorf("the new object has the past %v", got)
	}
	s.press("x", "y")
	if len(w.removed) != 1 || w.removed[0].inode != 2 {
		t.Errorf("removed %v", w.removed)
	}
}

func TestRates(t *testing.T) {
	w := newWorld()
	w.queue(1, 0, 0)
	s := newSession(t, w, 80, 24)
	s.press("m")
	for _, n := range []uint64{0, 10, 10, 4} {
		w.objects[0].Queue = &sysv.QueueInfo{ID: 1, QNum: n, CBytes: 100 * n, QBytes: 16384}
		s.tick()
	}
	s.expect("MSGS/s", "-3.0 ▁▁██▃")
	if got, want := s.rows[0].past(messageMeasure, 9), []uint64{0, 0, 10, 10, 4}; !slices.Equal(got, want) {
		t.Errorf("the past is %v, want %v", got, want)
	}
	for range 2 * historyLength {
		s.tick()
	}
	past := s.rows[0].past(messageMeasure, 2*historyLength)
	if len(past) != historyLength || slices.Min(past) != 4 || slices.Max(past) != 4 {
		t.Errorf("the past is %v", past)
	}
}

// TestPaused checks that nothing is collected meanwhile, and that collections never overlap.
func TestPaused(t *testing.T) {
	w := newWorld()
	w.queue(1, 0, 0)
	s := newSession(t, w, 80, 24)
	s.press("p")
	n := len(w.requests)
	s.tick()
	s.expect("PAUSED")
	if len(w.requests) != n {
		t.Error("collected while paused")
	}
	s.press("p")
	if len(w.requests) != n+1 {
		t.Errorf("%d collections after the pause", len(w.requests)-n)
	}
	old := s.alarm
	first := s.refresh()
	if first == nil || s.refresh() != nil {
		t.Fatal("two collections at once")
	}
	s.do(first) // and the one that was asked for meanwhile
	if len(w.requests) != n+3 {
		t.Errorf("%d collections", len(w.requests)-n)
	}
	s.send(old)
	if len(w.requests) != n+3 {
		t.Error("an old alarm rang")
	}
}

func TestFilter(t *testing.T) {
	w := busyWorld()
	s := newSession(t, w, 80, 24)
	s.press("/")
	s.write(`kind == "msg"`)
	s.expect("34 objects, 1 shown", "msg:7", `filter: kind == "msg"`)
	s.write(" && ")
	s.expect("34 objects, 1 shown", "it ends too early") // the last good one stays, and the error is shown
	s.press("enter")
	if s.mode != filtering {
		t.Error("a wrong filter was accepted")
	}
	s.write("mess")
	s.press("tab")
	s.write(" > 100")
	s.expect("34 objects, 0 shown", "The filter selects no object.", "messages > 100")
	s.press("esc")
	s.expect("34 objects   ")
	s.press("/")
	s.write(`size > 29000000 # bad`)
	for range len(" # bad") {
		s.press("backspace")
	}
	s.press("enter")
	s.expect("3 shown", "filter: size > 29000000")
	s.press("/", "home")
	s.write(`kind == "shm" && `)
	s.press("ctrl+e", "left", "delete", "backspace", "ctrl+w", "ctrl+w", "ctrl+w", "ctrl+w")
	if got := string(s.filter.text); got != `kind == "shm" ` {
		t.Errorf("the filter is %q", got)
	}
	s.press("ctrl+u")
	s.expect("34 objects   ")
	s.press("tab")
	s.expect("kind")
	s.send(tea.PasteMsg{Content: "kind == \"sem\"\n\x1b[31m"})
	s.expect(`filter: kind == "sem"[31m`)
	s.press("esc", "esc")
	s.expect("34 objects   ")
}

// TestVisibleSets checks that only the sets on the screen are counted in any case.
func TestVisibleSets(t *testing.T) {
	w := newWorld()
	for i := range 100 {
		w.set(i, 1)
	}
	s := newSession(t, w, 80, 24)
	s.tick()
	last := w.requests[len(w.requests)-1]
	if len(last.visible) != s.bodyLines() || !last.visible[0] || last.visible[99] {
		t.Errorf("visible: %v", last.visible)
	}
	s.press("end")
	s.tick()
	if last = w.requests[len(w.requests)-1]; !last.visible[99] || last.visible[0] || last.detail != nil {
		t.Errorf("visible at the end: %v", last)
	}
}

func TestRefusals(t *testing.T) {
	w := busyWorld()
	w.foreign = true
	s := newSession(t, w, 80, 24)
	s.press("x")
	s.expect("belongs to postgres")
	s.press("y")
	w.foreign, s.readOnly = false, true
	s.press("x", "y")
	s.expect("read-only")
	s.press("enter", "x", "y")
	if len(w.removed) > 0 || len(w.plans) != 1 {
		t.Errorf("plans %v, removed %v", w.plans, w.removed)
	}
}

// TestLatePlan answers before the question, and gets the plan of another question.
func TestLatePlan(t *testing.T) {
	w := busyWorld()
	s := newSession(t, w, 80, 24)
	_, cmd := s.Update(pressOf("x"))
	s.press("y", "y")
	s.press("esc", "down")
	_, second := s.Update(pressOf("x"))
	s.do(cmd)
	s.press("y")
	if s.plan != nil || len(w.removed) > 0 {
		t.Fatalf("removed %v", w.removed)
	}
	s.do(second)
	s.press("y")
	if len(w.removed) != 1 || w.removed[0] != w.plans[1] || w.removed[0] == w.plans[0] {
		t.Errorf("planned %v, removed %v", w.plans, w.removed)
	}
}

// TestRandomKeys presses random keys while objects come and go. An object may be removed only
// if the screen asked for exactly that object, and the answer was y.
func TestRandomKeys(t *testing.T) {
	keys := []string{
		"up", "down", "pgup", "pgdown", "home", "end", "enter", "esc", "/", "<", ">", "f6", "r", "m", "l", "?", "h", "p", "x", "x", "x", "delete",
		"y", "y", "y", "Y", "n", "j", "k", "g", "G", "tab", "backspace", "left", "right", "ctrl+u", "ctrl+w", "ctrl+l", " ", "k", "i", "n", "d", "=", `"`, "1",
	}
	asked, removed := regexp.MustCompile(`(?m)^Remove (\S+)\? \[y/N\]$`), 0
	names := account.New()
	sequences := 1000
	if ipctest.UnderRace() {
		sequences = 100
	}
	for seed := range ipctest.Rounds(t, sequences, 0) {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		w := &world{names: names}
		for i := range 5 {
			w.segment(i, 4096, 0)
		}
		s := newSession(t, w, 60+random.IntN(100), 10+random.IntN(40))
		for step := range 40 {
			switch random.IntN(12) {
			case 0:
				s.tick()
			case 1:
				w.queue(1000+step, random.Uint64N(9), random.Uint64N(9999))
			case 2:
				if n := len(w.objects); n > 5 {
					at := random.IntN(n)
					w.objects = slices.Delete(w.objects, at, at+1)
				}
			case 3:
				s.send(tea.WindowSizeMsg{Width: 1 + random.IntN(150), Height: 1 + random.IntN(60)})
			}
			key := keys[random.IntN(len(keys))]
			var question []string
			if step%8 == 0 || strings.Contains(s.View().Content, "[y/N]") {
				question = asked.FindStringSubmatch(s.screen())
			}
			before := len(w.removed)
			s.press(key)
			switch gone := w.removed[before:]; {
			case question != nil && strings.EqualFold(key, "y"):
				if len(gone) != 1 || gone[0].String() != question[1] {
					t.Fatalf("seed %d: asked for %s, removed %v", seed, question[1], gone)
				}
				removed++
			case len(gone) > 0:
				t.Fatalf("seed %d: %q removed %v", seed, key, gone)
			}
			if len(s.rows) > 0 && s.mode == browsing && s.rows[s.cursor].id != s.selected {
				t.Fatalf("seed %d: the cursor is on %v, selected is %v", seed, s.rows[s.cursor].id, s.selected)
			}
		}
	}
	if removed == 0 {
		t.Error("nothing was removed")
	}
	t.Logf("%d objects were removed", removed)
}

// TestEveryKey checks the keys that have no other test.
func TestEveryKey(t *testing.T) {
	s := newSession(t, busyWorld(), 80, 24)
	for _, keys := range [][]string{{"j", "j", "k"}, {"down", "down", "up"}, {"G", "g", "down"}, {"end", "home", "j"}, {"pgdown", "pgup", "j"}, {"ctrl+f", "ctrl+b", "j"}} {
		s.press("home")
		if s.press(keys...); s.cursor != 1 {
			t.Errorf("%v lead to row %d", keys, s.cursor)
		}
	}
	s.press("<")
	s.expect("SIZE▼")
	s.press(">", ">")
	s.expect("MSGS▼")
	s.press("r", "m")
	s.expect("MSGS▲", "MSGS/s")
	for _, want := range []string{"ATT/s", "WAIT/s", "BYTES/s"} {
		s.press("m")
		s.expect(want)
	}
	s.press("enter", "end", "down", "pgdown", "up", "home")
	s.expect("kind:")
	s.press("q", "q")
	if !s.ended {
		t.Error("q does not quit")
	}
	for _, mode := range []string{"/", "enter", "?", "x"} {
		s := newSession(t, busyWorld(), 80, 24)
		s.press(mode, "ctrl+c")
		if !s.ended {
			t.Errorf("ctrl+c does not quit after %s", mode)
		}
	}
}
