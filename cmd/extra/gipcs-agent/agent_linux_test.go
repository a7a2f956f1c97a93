package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sysvipc/gipc/cmd/internal/command/mantest"
	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) { ipctest.MainPOSIX(m) }

func TestManPage(t *testing.T) { mantest.Check(t, app(), "../../../docs/man/gipcs-agent.8") }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// quiet returns a log that discards everything.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// handler returns the handler of an agent with the given columns and age.
func handler(t testing.TB, by string, maxAge time.Duration) http.Handler {
	t.Helper()
	layout, err := groups.NewLayout(by, "", "")
	check(t, err)
	o := &options{listen: "127.0.0.1:0", layout: layout}
	return newHandler(o, newScanner(layout, maxAge, quiet()), quiet())
}

// get returns the answer to a request for a path.
func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// segments makes segments that last until the test ends.
func segments(t testing.TB, n int) {
	t.Helper()
	for range n {
		s, err := sysv.CreateSegment(sysv.Private, 4096, nil)
		check(t, err)
		t.Cleanup(func() { check(t, s.Remove()) })
	}
}

// TestMetrics makes objects, and has the linter of Prometheus read what is served.
func TestMetrics(t *testing.T) {
	segments(t, 3)
	w := get(handler(t, "kind,verdict,owner", 0), "/metrics")
	text := w.Body.String()
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, text)
	}
	for _, want := range []string{
		`(?m)^gipc_objects{kind="shm",owner="[^"]+",verdict="(orphan|idle|in use|unknown)"} 3$`, `(?m)^gipc_object_bytes{kind="shm",.*} 12288$`,
		`(?m)^gipc_limit{kind="shm",limit="shmmni"} [0-9]+$`, `(?m)^gipc_limit_used{kind="shm",limit="shmmni"} 3$`,
		`(?m)^gipc_deadlocks 0$`, `(?m)^gipc_hidden_processes [0-9]+$`, `(?m)^gipc_collect_duration_seconds `, `(?m)^process_resident_memory_bytes `,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// TestOneScan has many scrapers at once, and then one after the other. All get what one scan
// found.
func TestOneScan(t *testing.T) {
	segments(t, 1)
	h := handler(t, "kind", time.Hour)
	const scrapers = 20
	durations := make(chan string, 2*scrapers)
	scrape := func() {
		durations <- regexp.MustCompile(`(?m)^gipc_collect_duration_seconds .*$`).FindString(get(h, "/metrics").Body.String())
	}
	var all sync.WaitGroup
	for range scrapers {
		all.Go(scrape)
	}
	all.Wait()
	for range scrapers {
		scrape()
	}
	first := <-durations
	for range 2*scrapers - 1 {
		if d := <-durations; d != first || d == "" {
			t.Fatalf("%q and %q are of two scans", first, d)
		}
	}
}

// TestAge scans again once a reading is too old.
func TestAge(t *testing.T) {
	h := handler(t, "kind", 0)
	before := get(h, "/metrics").Body.String()
	segments(t, 1)
	after := get(h, "/metrics").Body.String()
	const want = `gipc_objects{kind="shm"} 1`
	if strings.Contains(before, want) || !strings.Contains(after, want) {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestPage shows an object whose name would be markup, control the terminal or turn the text
// around.
func TestPage(t *testing.T) {
	names := []string{`/<script>alert(1)<`, "/\x1b[31m", "/\u202eabc", "/\xff"}
	for _, name := range names {
		check(t, os.WriteFile(filepath.Join("/dev/shm", name), []byte("x"), 0o600))
		defer func() { check(t, os.Remove(filepath.Join("/dev/shm", name))) }()
	}
	w := get(handler(t, "name,kind", 0), "/")
	text := w.Body.String()
	for _, want := range []string{"/&lt;script&gt;alert(1)&lt;", `/\x1b[31m`, `/\u202eabc`, `/\xff`, "SHMMNI", "/style.css"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	if w.Code != http.StatusOK || strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, "<script") || regexp.MustCompile(`https?://`).MatchString(text) {
		t.Errorf("status %d, and something active in\n%s", w.Code, text)
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'self'; ") {
		t.Errorf("Content-Security-Policy: %s", csp)
	}
	if metrics := get(handler(t, "name", 0), "/metrics"); metrics.Code != http.StatusOK || !strings.Contains(metrics.Body.String(), `name="/<script>alert(1)<"`) {
		t.Errorf("metrics: %d\n%s", metrics.Code, metrics.Body)
	}
}

func TestPaths(t *testing.T) {
	h := handler(t, "kind", time.Hour)
	for path, want := range map[string]int{"/": 200, "/metrics": 200, "/style.css": 200, "/healthz": 200, "/nosuch": 404, "/metrics/x": 404, "/..%2f": 404} {
		if w := get(h, path); w.Code != want {
			t.Errorf("%s: status %d, want %d: %s", path, w.Code, want, w.Body)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "http://localhost/metrics", http.NoBody))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", w.Code)
	}
}

// TestHealth asks for the health of a scanner whose scans fail, and of one that is stuck.
func TestHealth(t *testing.T) {
	for _, s := range []*scanner{
		{failure: "no /proc"},
		{running: &scan{began: time.Now().Add(-time.Hour), done: make(chan struct{})}},
	} {
		s.log = quiet()
		h := newHandler(&options{listen: "127.0.0.1:0"}, s, quiet())
		if w := get(h, "/healthz"); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "/proc") {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if s.running != nil {
			if _, err := s.read(time.Millisecond); err == nil {
				t.Error("a scan that is stuck was read")
			}
		}
	}
}

func TestToken(t *testing.T) {
	const secret = "0123456789abcdef"
	file := filepath.Join(t.TempDir(), "token")
	check(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	tok, err := readToken(file)
	check(t, err)
	layout, err := groups.NewLayout("kind", "", "")
	check(t, err)
	h := newHandler(&options{listen: "0.0.0.0:0", layout: layout, token: tok}, newScanner(layout, time.Hour, quiet()), quiet())
	basic := func(password string) string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth("any", password)
		return r.Header.Get("Authorization")
	}
	for given, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer 0123456789abcdee": 401, "Bearer 0123456789abcde": 401, secret: 401, basic("no"): 401, basic(""): 401,
		"Bearer " + secret: 200, basic(secret): 200,
	} {
		for _, path := range []string{"/", "/metrics", "/style.css"} {
			if w := get(h, path, "Authorization", given); w.Code != want {
				t.Errorf("%q %s: status %d, want %d", given, path, w.Code, want)
			}
		}
	}
	if w := get(h, "/healthz"); w.Code != http.StatusOK {
		t.Errorf("/healthz: status %d", w.Code)
	}
}

func TestTokenFile(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"good": {"0123456789abcdef\n", 0o640, ""}, "open": {"0123456789abcdef", 0o644, "mode 0644"}, "group": {"0123456789abcdef", 0o660, "mode 0660"},
		"short": {"0123456789abcde", 0o600, "16 to 4096 characters"}, "empty": {"", 0o600, "16 to 4096 characters"}, "long": {strings.Repeat("x", 4097), 0o600, "16 to 4096"},
		"two": {"01234567 89abcdef", 0o600, "one word"}, "wide": {"0123456789abcdefé", 0o600, "one word"},
	} {
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, []byte(tt.text), 0o600))
		check(t, os.Chmod(path, tt.mode))
		if _, err := readToken(path); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "no"), "/dev/zero"} {
		if _, err := readToken(path); err == nil {
			t.Errorf("%s is a token", path)
		}
	}
}

// TestHost sends the requests that a page of another site makes a browser send.
func TestHost(t *testing.T) {
	h := handler(t, "kind", time.Hour)
	for host, want := range map[string]int{
		"127.0.0.1:9787": 200, "localhost:9787": 200, "localhost": 200, "[::1]:9787": 200, "[::1]": 200,
		"evil.example:9787": 403, "evil.example": 403, "10.0.0.1:9787": 403, "": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("Host %q: status %d, want %d", host, w.Code, want)
		}
	}
}

func TestAddress(t *testing.T) {
	for _, address := range []string{"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"} {
		check(t, checkAddress(address, false))
	}
	for _, address := range []string{":9787", "0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1", "127.0.0.1.example.org:1"} {
		if err := checkAddress(address, false); err == nil || !strings.Contains(err.Error(), "--insecure") {
			t.Errorf("%s: %v", address, err)
		}
		check(t, checkAddress(address, true))
	}
	for _, address := range []string{"", "127.0.0.1", "9787", "::1"} {
		if err := checkAddress(address, true); err == nil {
			t.Errorf("%q is an address", address)
		}
	}
}

// TestMemory scrapes again and again, each time with a new scan. The use of memory and the
// number of goroutines must not grow. GIPC_TEST_SCRAPES sets the number of scrapes.
func TestMemory(t *testing.T) {
	segments(t, 50)
	server := httptest.NewServer(handler(t, "kind,verdict,owner", 0))
	defer server.Close()
	scrape := func(n int) (heap uint64, goroutines int) {
		for range n {
			response, err := http.Get(server.URL + "/metrics")
			check(t, err)
			_, err = io.Copy(io.Discard, response.Body)
			check(t, err)
			check(t, response.Body.Close())
		}
		http.DefaultClient.CloseIdleConnections()
		var stats runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc, runtime.NumGoroutine()
	}
	n := scrapes(t)
	before, few := scrape(n / 4)
	after, many := scrape(n)
	t.Logf("heap of %d KiB after %d scrapes, %d KiB after %d more; %d and %d goroutines", before>>10, n/4, after>>10, n, few, many)
	const slack = 1 << 20
	if after > before+slack || many > few+5 {
		t.Errorf("the heap has grown from %d to %d bytes, goroutines from %d to %d", before, after, few, many)
	}
}
