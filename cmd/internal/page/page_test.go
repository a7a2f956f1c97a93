package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/page"
)

// hostile means something to HTML, scripts and terminals.
const hostile = "</td></script><script>alert(1)</script><img src=x onerror=alert(1)>\"' onclick=x &lt; \x1b[2J\xff\u202e"

func write(t *testing.T) string {
	t.Helper()
	p := &page.Page{
		Title: "title " + hostile, Facts: []string{hostile}, Notes: []string{hostile}, Style: ".ipc{color:red}",
		Sections: []page.Section{
			{ID: "a", Title: hostile, Text: hostile, Columns: []page.Column{{Name: hostile}, {Name: "n", Number: true}}, Rows: [][]page.Cell{
				{page.Text(hostile), page.Number(85, hostile)},
				{{Text: "orphan", Known: true, Warn: true}, {Text: "85 %", Number: 85, Known: true, Meter: true}},
				{page.Unknown(), page.Unknown()},
			}},
			{ID: "b", Title: "empty", Empty: "nothing " + hostile},
			{ID: "c", Title: "picture", Picture: func(w io.Writer) error { _, err := io.WriteString(w, "<svg></svg>"); return err }},
		},
	}
	var b strings.Builder
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// element returns the content of an element that a page has once.
func element(t *testing.T, text, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "<"+name+">")
	content, after, closed := strings.Cut(rest, "</"+name+">")
	if !found || !closed || strings.Contains(after, "<"+name) {
		t.Fatalf("the page has not exactly one %s", name)
	}
	return content
}

// TestPolicy: the page allows its own script and style sheet, and nothing else.
func TestPolicy(t *testing.T) {
	text := write(t)
	policy := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(text)
	if policy == nil {
		t.Fatal("the page has no policy")
	}
	hash := func(name string) string {
		sum := sha256.Sum256([]byte(element(t, text, name)))
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	want := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; base-uri 'none'; form-action 'none'", hash("style"), hash("script"))
	if policy[1] != want {
		t.Errorf("the policy is\n%s\nwant\n%s", policy[1], want)
	}
	script, err := os.ReadFile("page.js")
	if err != nil {
		t.Fatal(err)
	}
	if element(t, text, "script") != string(script) {
		t.Error("the script is not that of the project")
	}
}

// TestHostile: texts that others chose stay texts.
func TestHostile(t *testing.T) {
	text := write(t)
	text = strings.Replace(text, element(t, text, "script"), "", 1)
	elements := make(map[string]int)
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		elements[start.Name.Local]++
		for _, a := range start.Attr {
			name := a.Name.Local
			if strings.HasPrefix(name, "on") || slices.Contains([]string{"style", "src", "srcset", "action"}, name) || name == "href" && !strings.HasPrefix(a.Value, "#") {
				t.Errorf("<%s %s=%q>", start.Name.Local, name, a.Value)
			}
		}
	}
	if elements["script"] != 1 || elements["img"] != 0 || elements["td"] != 6 || elements["th"] != 2 || elements["section"] != 3 || elements["meter"] != 1 {
		t.Errorf("elements: %v", elements)
	}
	if strings.ContainsAny(text, "\x1b\u202e") {
		t.Error("the page has characters that a reader cannot see")
	}
	if !strings.HasPrefix(text, page.Mark) {
		t.Error("the page does not begin with its mark")
	}
}

// TestFailedPicture: an error of a picture, or of the output, is returned.
func TestFailedPicture(t *testing.T) {
	failed := errors.New("failed")
	p := &page.Page{Sections: []page.Section{{Picture: func(io.Writer) error { return failed }}}}
	if err := p.Write(io.Discard); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
	r, w := io.Pipe()
	r.CloseWithError(failed)
	if err := new(page.Page).Write(w); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
}
