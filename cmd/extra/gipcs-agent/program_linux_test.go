package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/extra/internal/extratest"
	"github.com/sysvipc/gipc/internal/ipctest"
)

// patience is how long a test waits for what should happen at once.
const patience = 60 * time.Second

// scrapes is how many scrapes the test of memory makes.
func scrapes(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("GIPC_TEST_SCRAPES"))
	if err != nil {
		return 200
	}
	t.Logf("%d scrapes", n)
	return n
}

// An agent is a running program.
type agent struct {
	*exec.Cmd
	address string
	log     *bufio.Scanner
}

// start starts the program and waits until it serves.
func start(t testing.TB, program string, args ...string) *agent {
	t.Helper()
	a := &agent{Cmd: exec.Command(program, append([]string{"--listen", "127.0.0.1:0"}, args...)...)}
	stderr, err := a.StderrPipe()
	check(t, err)
	check(t, a.Start())
	t.Cleanup(func() {
		if a.ProcessState == nil {
			_ = a.Process.Kill() // it may have ended
			_ = a.Wait()         // its status does not matter any more
		}
	})
	a.log = bufio.NewScanner(stderr)
	if !a.log.Scan() {
		t.Fatalf("it says nothing: %v", a.log.Err())
	}
	m := regexp.MustCompile(`msg=serving address=(\S+) `).FindStringSubmatch(a.log.Text())
	if m == nil {
		t.Fatalf("it says %s", a.log.Text())
	}
	a.address = m[1]
	return a
}

// end ends the program with SIGTERM, and returns the rest of its log.
func (a *agent) end(t testing.TB) string {
	t.Helper()
	check(t, a.Process.Signal(syscall.SIGTERM))
	var said strings.Builder
	for a.log.Scan() {
		said.WriteString(a.log.Text() + "\n")
	}
	if err := a.Wait(); err != nil {
		t.Errorf("it ends with %v: %s", err, &said)
	}
	return said.String()
}

func TestProgram(t *testing.T) {
	program := ipctest.Build(t, ".")
	segments(t, 2)
	a := start(t, program)
	response, err := http.Get("http://" + a.address + "/metrics")
	check(t, err)
	text, err := io.ReadAll(response.Body)
	check(t, err)
	check(t, response.Body.Close())
	if !strings.Contains(string(text), `gipc_limit_used{kind="shm",limit="shmmni"} 2`) {
		t.Errorf("%s", text)
	}
	// A client that sends nothing does not delay the end.
	idle, err := net.Dial("tcp", a.address)
	check(t, err)
	defer idle.Close()
	if said := a.end(t); !strings.Contains(said, "msg=stopping") {
		t.Errorf("it said %s", said)
	}
}

func TestBadInput(t *testing.T) {
	program := ipctest.Build(t, ".")
	for args, want := range map[string]string{
		"--listen 0.0.0.0:0": `--listen: other machines could read what 0.0.0.0:0 serves; give --tls-cert, --tls-key and --token-file, or --insecure`,
		"--listen 9787":      `--listen: "9787" is no address and port, such as 127.0.0.1:9787 or [::1]:9787`,
		"--max-age soon":     `--max-age: `,
		"--by size":          `--by: objects cannot be grouped by "size"; the columns for that are kind `,
		"--tls-cert x":       `--tls-cert and --tls-key belong together`,
		"--listen 0.0.0.0:0 --tls-cert x --tls-key y": `--listen: other machines could read`,
		"serve":    `unexpected argument "serve"; expected none`,
		"--nosuch": `unrecognized option`,
	} {
		out, err := exec.Command(program, strings.Fields(args)...).CombinedOutput()
		status := new(exec.ExitError)
		if said := string(out); !isExit(err, &status) || status.ExitCode() != 2 || strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "gipcs-agent: ") || !strings.Contains(said, want) {
			t.Errorf("%s: %v, %s; want %s", args, err, said, want)
		}
	}
	for _, args := range []string{"--tls-cert /no/cert --tls-key /no/key", "--token-file /no/token", "--listen 127.0.0.1:99999"} {
		out, err := exec.Command(program, strings.Fields(args)...).CombinedOutput()
		status := new(exec.ExitError)
		if !isExit(err, &status) || status.ExitCode() != 1 || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v, %s", args, err, out)
		}
	}
}

func isExit(err error, status **exec.ExitError) (ok bool) {
	*status, ok = err.(*exec.ExitError)
	return ok
}

// TestTLS uses a certificate, and then a renewed one.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key, secret := filepath.Join(dir, "cert"), filepath.Join(dir, "key"), filepath.Join(dir, "token")
	roots, _ := extratest.Certify(t, cert, key)
	check(t, os.WriteFile(secret, []byte("0123456789abcdef"), 0o600))
	a := start(t, ipctest.Build(t, "."), "--tls-cert", cert, "--tls-key", key, "--token-file", secret)
	status := func(roots *x509.CertPool, token string) (int, error) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+a.address+"/metrics", nil)
		check(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	for token, want := range map[string]int{"0123456789abcdef": 200, "0123456789abcdeF": 401} {
		if got, err := status(roots, token); got != want || err != nil {
			t.Errorf("status %d, %v, want %d", got, err, want)
		}
	}
	renewed, _ := extratest.Certify(t, cert, key)
	if got, err := status(renewed, "0123456789abcdef"); got != 200 || err != nil {
		t.Errorf("renewed: status %d, %v", got, err)
	}
	a.end(t)
}

// TestPrometheus has Prometheus scrape the program, with the alerts of docs/examples, and
// waits until one fires: a limit of segments is full.
func TestPrometheus(t *testing.T) {
	server, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("needs prometheus")
	}
	limit := "/proc/sys/kernel/shmmni"
	old, err := os.ReadFile(limit)
	check(t, err)
	if err := os.WriteFile(limit, []byte("10"), 0); err != nil {
		t.Skipf("no limit can be set here: %v", err)
	}
	defer func() { check(t, os.WriteFile(limit, old, 0)) }()
	segments(t, 10)
	a := start(t, ipctest.Build(t, "."), "--max-age", "0s")
	dir := t.TempDir()
	rules, err := os.ReadFile(filepath.Join(examples, "prometheus/gipc.rules.yml"))
	check(t, err)
	rules = regexp.MustCompile(`(?m)^ +for: .*\n`).ReplaceAll(rules, nil)
	check(t, os.WriteFile(dir+"/gipc.rules.yml", rules, 0o600))
	config, err := os.ReadFile(filepath.Join(examples, "prometheus/prometheus.yml"))
	check(t, err)
	config = []byte("global: {scrape_interval: 1s, evaluation_interval: 1s}\n" + strings.ReplaceAll(string(config), "127.0.0.1:9787", a.address))
	check(t, os.WriteFile(dir+"/prometheus.yml", config, 0o600))
	address := freeAddress(t)
	p := exec.Command(server, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+address)
	p.Stderr = os.Stderr
	if !testing.Verbose() {
		p.Stderr = nil
	}
	check(t, p.Start())
	defer func() {
		check(t, p.Process.Signal(syscall.SIGTERM))
		check(t, p.Wait())
	}()
	firing := ""
	for began := time.Now(); !strings.Contains(firing, "IPCLimitReached shmmni"); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("these alerts fire: %s", firing)
		}
		firing = alerts("http://" + address)
	}
	if strings.Contains(firing, "IPCAgentDown") || strings.Contains(firing, "semmni") {
		t.Errorf("these alerts fire: %s", firing)
	}
	a.end(t)
}

// freeAddress returns an address at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

// alerts returns the names and limits of the alerts that fire.
func alerts(server string) string {
	response, err := http.Get(server + "/api/v1/alerts")
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	var answer struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err.Error()
	}
	var firing []string
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" {
			firing = append(firing, fmt.Sprint(a.Labels["alertname"], " ", a.Labels["limit"]))
		}
	}
	return strings.Join(firing, ", ")
}
