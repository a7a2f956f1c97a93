package integration_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// TestReport: the page holds all objects, replaces only an older page, and is private.
func TestReport(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	segment, err := sysv.CreateSegment(0x4d2, 4096, nil)
	check(t, err)
	defer func() { check(t, segment.Remove()) }()
	o, err := posix.CreateObject("/<script>alert(1)<|script>", 1, nil)
	check(t, err)
	defer func() { check(t, errors.Join(o.Close(), posix.UnlinkObject("/<script>alert(1)<|script>"))) }()
	file := filepath.Join(t.TempDir(), "report.html")
	for range 2 { // the second one replaces the first
		if _, said, status := g.run(t, "report", file); status != 0 {
			t.Fatalf("exit status %d: %s", status, said)
		}
	}
	text, err := os.ReadFile(file)
	check(t, err)
	for _, want := range []string{"0x000004d2", "SHMMNI", "pshm:/&lt;script&gt;alert(1)&lt;|script&gt;", "</html>"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	info, err := os.Stat(file)
	check(t, err)
	want(t, "mode", info.Mode().Perm(), os.FileMode(0o600))
	writeFile(t, file, "my letter")
	if _, said, status := g.run(t, "report", file); status != 1 || !strings.Contains(said, "no report of gipcs") {
		t.Errorf("exit status %d: %s", status, said)
	}
	want(t, "the file", string(must(os.ReadFile(file))), "my letter")
	if out := g.prints(t, "report", "--ignore-hidden", "--kind", "sem"); strings.Contains(out, "0x000004d2") {
		t.Error("the report has an object that was not selected")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A browser is a Chromium that is told what to do by its DevTools protocol, through pipes.
type browser struct {
	t       *testing.T
	out     io.Writer
	in      *bufio.Reader
	session string
	last    int
	events  []string // methods and texts of what the page logged or requested
}

// startBrowser starts Chromium with an empty page.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium, which takes long to install: ", err)
	}
	theirIn, ourOut, err := os.Pipe()
	check(t, err)
	ourIn, theirOut, err := os.Pipe()
	check(t, err)
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	check(t, cmd.Start())
	check(t, errors.Join(theirIn.Close(), theirOut.Close()))
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		ourIn.Close()
		ourOut.Close()
	})
	b := &browser{t: t, out: ourOut, in: bufio.NewReader(ourIn)}
	var target struct{ TargetID string }
	b.call(&target, "Target.createTarget", map[string]any{"url": "about:blank"})
	var attached struct{ SessionID string }
	b.call(&attached, "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true})
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(nil, domain+".enable", nil)
	}
	return b
}

// call calls a method and stores its result, unless that is nil.
func (b *browser) call(result any, method string, params map[string]any) {
	b.t.Helper()
	b.last++
	request := map[string]any{"id": b.last, "method": method, "params": params}
	if b.session != "" {
		request["sessionId"] = b.session
	}
	text, err := json.Marshal(request)
	check(b.t, err)
	_, err = b.out.Write(append(text, 0))
	check(b.t, err)
	for {
		m := b.message()
		if m.ID != b.last {
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error)
		}
		if result != nil {
			check(b.t, json.Unmarshal(m.Result, result))
		}
		return
	}
}

type devTools struct {
	ID                    int
	Method                string
	Params, Result, Error json.RawMessage
}

// message returns the next message, and keeps events that a report must not cause.
func (b *browser) message() (m devTools) {
	b.t.Helper()
	text, err := b.in.ReadBytes(0)
	check(b.t, err)
	check(b.t, json.Unmarshal(text[:len(text)-1], &m))
	switch m.Method {
	case "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Network.requestWillBeSent":
		b.events = append(b.events, m.Method+" "+string(m.Params))
	}
	return m
}

// open opens a page and waits until it is loaded.
func (b *browser) open(url string) {
	b.t.Helper()
	b.call(nil, "Page.navigate", map[string]any{"url": url})
	for b.message().Method != "Page.loadEventFired" {
	}
}

// value returns the value of an expression, in JSON.
func (b *browser) value(expression string) string {
	b.t.Helper()
	var result struct {
		Result struct{ Value json.RawMessage }
	}
	b.call(&result, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true})
	return string(result.Result.Value)
}

// press presses a key.
func (b *browser) press(key, text string) {
	b.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		params := map[string]any{"type": kind, "key": key}
		if text != "" && kind == "keyDown" {
			params["text"] = text
		}
		if key == "Tab" {
			params["windowsVirtualKeyCode"], params["code"] = 9, "Tab"
		}
		b.call(nil, "Input.dispatchKeyEvent", params)
	}
}

// TestReportInBrowser walks through a report by keyboard: it sorts, searches, logs nothing
// and makes no request, and names stay texts.
func TestReportInBrowser(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	const hostile = "/x<img src=https:..example.com onerror=alert(1)>"
	names := []string{"/b", "/a", hostile}
	for i, name := range names {
		o, err := posix.CreateObject(name, int64(1000*(i+9)), nil)
		check(t, errors.Join(err, o.Close()))
		defer func() { check(t, posix.UnlinkObject(name)) }()
	}
	file := filepath.Join(t.TempDir(), "report.html")
	g.run(t, "report", file)
	b := startBrowser(t)
	b.open("file://" + file)
	const column = `JSON.stringify(Array.from(document.querySelectorAll("#objects tbody tr:not([hidden])"), r => r.cells[%d].textContent))`
	shown := func(what string, at int, texts ...string) {
		t.Helper()
		var got []string
		check(t, json.Unmarshal([]byte(must(jsonString(b.value(fmt.Sprintf(column, at))))), &got))
		if !slices.Equal(got, texts) {
			t.Errorf("%s: %q, want %q", what, got, texts)
		}
	}
	const nameColumn, sizeColumn = 2, 6
	shown("at first", nameColumn, "/a", "/b", hostile)
	// Tab goes from heading to heading; Enter sorts.
	focusOn := func(heading string) {
		t.Helper()
		for range 100 {
			b.press("Tab", "")
			if b.value(`document.activeElement.closest("#objects") && document.activeElement.textContent`) == `"`+heading+`"` {
				return
			}
		}
		t.Fatalf("Tab does not reach the heading %s", heading)
	}
	focusOn("name")
	b.press("Enter", "\r")
	b.press("Enter", "\r")
	shown("names, downwards", nameColumn, hostile, "/b", "/a")
	focusOn("size")
	b.press("Enter", "\r")
	shown("sizes", nameColumn, "/b", "/a", hostile)
	want(t, "aria-sort", b.value(fmt.Sprintf(`document.querySelectorAll("#objects th")[%d].getAttribute("aria-sort")`, sizeColumn)), `"ascending"`)
	b.press("/", "/")
	for _, key := range "/a" {
		b.press(string(key), string(key))
	}
	shown("search", nameColumn, "/a")
	b.press("Escape", "")
	shown("no search", nameColumn, "/b", "/a", hostile)
	want(t, "images", b.value(`document.images.length`), "0")
	for _, e := range b.events {
		if !strings.Contains(e, "file://"+file) {
			t.Errorf("the page caused %s", e)
		}
	}
}

// jsonString returns the string that a text in JSON holds.
func jsonString(text string) (s string, err error) {
	err = json.Unmarshal([]byte(text), &s)
	return s, err
}
