package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// examples is where the rules and the dashboard are.
const examples = "../../../docs/examples"

// exported returns the metrics that an agent serves, including those that need objects of
// other kinds.
func exported(t *testing.T) (names []string) {
	t.Helper()
	segments(t, 1)
	w := get(handler(t, "kind,verdict,owner", 0), "/metrics")
	if w.Code != http.StatusOK {
		t.Fatal(w.Code)
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(w.Body.String(), -1) {
		names = append(names, m[1])
	}
	return append(names, "gipc_messages", "gipc_waiting_threads") // of queues and sets
}

// TestExamples: the rules and the dashboard use only metrics and labels that exist.
func TestExamples(t *testing.T) {
	names := exported(t)
	for _, file := range []string{"prometheus/gipc.rules.yml", "grafana/gipc.json"} {
		text, err := os.ReadFile(filepath.Join(examples, file))
		check(t, err)
		used := regexp.MustCompile(`\bgipc_[a-z_]+`).FindAllString(string(text), -1)
		if len(used) < 5 {
			t.Errorf("%s uses %v", file, used)
		}
		for _, name := range used {
			if !slices.Contains(names, name) {
				t.Errorf("%s uses %s; there are %v", file, name, names)
			}
		}
		for _, m := range regexp.MustCompile(`by \(([a-z, ]+)\)`).FindAllStringSubmatch(string(text), -1) {
			for label := range strings.SplitSeq(m[1], ", ") {
				if !slices.Contains([]string{"instance", "job", "kind", "verdict", "owner", "limit"}, label) {
					t.Errorf("%s sums up by %s", file, label)
				}
			}
		}
	}
}

// TestDashboard: every panel has a query, and no panel covers another.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(examples, "grafana/gipc.json"))
	check(t, err)
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, RefID string }
		}
	}
	check(t, json.Unmarshal(text, &d))
	taken := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q has %d queries at %+v", p.ID, p.Title, len(p.Targets), p.GridPos)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if taken[at] != "" {
					t.Fatalf("%q covers %q", p.Title, taken[at])
				}
				taken[at] = p.Title
			}
		}
		for _, target := range p.Targets {
			checkQuery(t, target.Expr)
		}
	}
}

// checkQuery has promtool parse a query as part of a rule.
func checkQuery(t *testing.T, expr string) {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("needs promtool: install prometheus")
	}
	quoted, err := json.Marshal(strings.ReplaceAll(expr, "$instance", ".*"))
	check(t, err)
	file := filepath.Join(t.TempDir(), "rule.yml")
	check(t, os.WriteFile(file, []byte(`{"groups": [{"name": "x", "rules": [{"record": "x", "expr": `+string(quoted)+`}]}]}`), 0o600))
	if out, err := exec.Command(promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", expr, err, out)
	}
}

// TestRules runs promtool on the alerts, their tests and the configuration.
func TestRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("needs promtool: install prometheus")
	}
	for _, args := range [][]string{{"check", "rules", "gipc.rules.yml"}, {"test", "rules", "gipc.rules.test.yml"}, {"check", "config", "prometheus.yml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = filepath.Join(examples, "prometheus")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v: %s", args, err, out)
		}
	}
}
