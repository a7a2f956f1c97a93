package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/sysvipc/gipc/cmd/extra/internal/extratest"
	"github.com/sysvipc/gipc/cmd/internal/command/mantest"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

func TestMain(m *testing.M) { ipctest.MainPOSIX(m) }

// patience is how long a test waits for what should happen at once.
const patience = 60 * time.Second

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The man page names every flag, and no others.
func TestManPage(t *testing.T) { mantest.Check(t, app(), "../../../docs/man/gshm-relay.1") }

// A program is a running gshm-relay, and what it says.
type program struct {
	*exec.Cmd
	mu   sync.Mutex
	said bytes.Buffer
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.Write(b)
}

func (p *program) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// start starts the program, which ends with the test at the latest.
func start(t testing.TB, env []string, args ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(ipctest.Build(t, "."), args...)}
	p.Env, p.Stderr = append(os.Environ(), env...), p
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	check(t, p.Start())
	t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill() // it may have ended
			_ = p.Wait()         // its status does not matter any more
		}
		if t.Failed() {
			t.Logf("%s: %s", strings.Join(args, " "), p.log())
		}
	})
	return p
}

// end ends the program with SIGTERM.
func (p *program) end(t testing.TB) {
	t.Helper()
	check(t, p.Process.Signal(syscall.SIGTERM))
	if err := p.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

// ring makes a ring.
func ring(t testing.TB, name string, kind shmring.Producers) *shmring.Ring {
	t.Helper()
	r, err := shmring.OpenOrCreate(t.Context(), name, &shmring.NamedOptions{Producers: kind, Outlive: true})
	check(t, err)
	t.Cleanup(func() { check(t, r.CloseAndRemove()) })
	return r
}

// pass checks that messages that are put into one ring come out of the other.
func pass(t testing.TB, from, to *shmring.Ring) {
	t.Helper()
	p, err := from.JoinProducer()
	check(t, err)
	c, err := to.JoinConsumer()
	check(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := range 100 {
		text := fmt.Sprint("message ", i)
		check(t, p.Send(ctx, []byte(text)))
		msg, err := c.Receive(ctx)
		if err != nil || string(msg) != text {
			t.Fatalf("received %q, %v, want %q", msg, err, text)
		}
	}
	check(t, errors.Join(p.Close(), c.Close()))
}

// serve starts a NATS server in this process and returns its URL.
func serve(t testing.TB, o *server.Options) string {
	t.Helper()
	_, port, err := net.SplitHostPort(extratest.Serve(t, o).Addr().String())
	check(t, err)
	return "nats://127.0.0.1:" + port
}

// TestProgram sends from two rings by one program, and receives by one for each; they
// create what is missing.
func TestProgram(t *testing.T) {
	url := serve(t, &server.Options{}) + "/ipc."
	programs := []*program{
		start(t, nil, "/a", "/b", "--create", "--size", "64KiB", "--to", url+"*"),
		start(t, nil, "/a2", "--create", "--from", url+"a"),
		start(t, nil, "/b2", "--from", url+"b"), // waits for the ring
	}
	from := map[string]*shmring.Ring{}
	for _, name := range []string{"/a", "/b", "/b2", "/a2"} {
		from[name] = ring(t, name, shmring.One)
	}
	pass(t, from["/a"], from["/a2"])
	pass(t, from["/b"], from["/b2"])
	for _, p := range programs {
		p.end(t)
	}
}

// TestRejected has a server that does not know the user.
func TestRejected(t *testing.T) {
	url := serve(t, &server.Options{Username: "user", Password: "secret"}) + "/ipc"
	ring(t, "/a", shmring.One)
	for _, way := range []string{"--to", "--from"} {
		out, err := exec.Command(ipctest.Build(t, "."), "/a", way, url).CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if status := new(exec.ExitError); !errors.As(err, &status) || status.ExitCode() != 1 ||
			!strings.Contains(strings.ToLower(lines[len(lines)-1]), "authorization violation") {
			t.Errorf("%s: %v, %s", way, err, out)
		}
	}
}

// A login is a server, and flags and environment with which the program may use it.
type login struct {
	server *server.Options
	args   []string
	env    []string
}

// logins returns a login of each kind.
func logins(t *testing.T, dir string) map[string]login {
	t.Helper()
	user, err := nkeys.CreateUser()
	check(t, err)
	public, err := user.PublicKey()
	check(t, err)
	seed, err := user.Seed()
	check(t, err)
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, text, 0o600))
		return path
	}
	nkey := file("nkey", seed)
	context, err := json.Marshal(map[string]any{"description": "for a test", "nkey": nkey, "url": "nats://127.0.0.1:1", "inbox_prefix": "_INBOX_test"})
	check(t, err)
	check(t, os.MkdirAll(filepath.Join(dir, "nats/context"), 0o700))
	file("nats/context/site.json", context)
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	roots, pair := extratest.Certify(t, cert, key)
	byKey := func() *server.Options { return &server.Options{Nkeys: []*server.NkeyUser{{Nkey: public}}} }
	operator, creds := credentials(t)
	return map[string]login{
		"nothing": {&server.Options{}, nil, nil},
		"user":    {&server.Options{Username: "u", Password: "p"}, nil, []string{"NATS_USER=u", "NATS_PASSWORD=p"}},
		"token":   {&server.Options{Authorization: "t"}, nil, []string{"NATS_TOKEN=t"}},
		"nkey":    {byKey(), []string{"--nkey", nkey}, nil},
		"context": {byKey(), []string{"--context", "site"}, []string{"XDG_CONFIG_HOME=" + dir}},
		"creds":   {operator, []string{"--creds", file("creds", creds)}, nil},
		"TLS": {
			&server.Options{TLS: true, TLSVerify: true, TLSConfig: &tls.Config{
				MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
			}},
			[]string{"--tlsca", cert, "--tlscert", cert, "--tlskey", key},
			nil,
		},
	}
}

// credentials makes an operator, an account and a user, and returns a server that trusts
// the operator, and the user's file.
func credentials(t *testing.T) (o *server.Options, file []byte) {
	t.Helper()
	pair := func(create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		k, err := create()
		check(t, err)
		public, err := k.PublicKey()
		check(t, err)
		return k, public
	}
	operator, operatorKey := pair(nkeys.CreateOperator)
	account, accountKey := pair(nkeys.CreateAccount)
	user, userKey := pair(nkeys.CreateUser)
	claims := jwt.NewOperatorClaims(operatorKey)
	text, err := claims.Encode(operator)
	check(t, err)
	claims, err = jwt.DecodeOperatorClaims(text)
	check(t, err)
	accountText, err := jwt.NewAccountClaims(accountKey).Encode(operator)
	check(t, err)
	userText, err := jwt.NewUserClaims(userKey).Encode(account)
	check(t, err)
	seed, err := user.Seed()
	check(t, err)
	file, err = jwt.FormatUserConfig(userText, seed)
	check(t, err)
	resolver := &server.MemAccResolver{}
	check(t, resolver.Store(accountKey, accountText))
	return &server.Options{TrustedOperators: []*jwt.OperatorClaims{claims}, AccountResolver: resolver}, file
}

// TestLogins uses each way to log in.
func TestLogins(t *testing.T) {
	for name, l := range logins(t, t.TempDir()) {
		t.Run(name, func(t *testing.T) {
			url := serve(t, l.server) + "/ipc.test"
			from, to := ring(t, "/from", shmring.One), ring(t, "/to", shmring.One)
			send := start(t, l.env, append(slices.Clone(l.args), "/from", "--to", url)...)
			receive := start(t, l.env, append(slices.Clone(l.args), "/to", "--from", url)...)
			pass(t, from, to)
			send.end(t)
			receive.end(t)
		})
	}
}

// TestOldServer uses the nats-server of Debian.
func TestOldServer(t *testing.T) {
	program, err := exec.LookPath("nats-server")
	if err != nil {
		t.Skip("needs nats-server")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	check(t, l.Close())
	ipctest.Run(t, program, "--addr", "127.0.0.1", "--port", port)
	from, to := ring(t, "/from", shmring.One), ring(t, "/to", shmring.One)
	url := "nats://127.0.0.1:" + port + "/ipc.test"
	send, receive := start(t, nil, "/from", "--to", url), start(t, nil, "/to", "--from", url)
	pass(t, from, to)
	send.end(t)
	receive.end(t)
}

func TestBadInput(t *testing.T) {
	ring(t, "/a", shmring.One)
	ring(t, "/many", shmring.Many)
	for args, want := range map[string]string{
		"":                                        `REF is missing`,
		"/a":                                      `give --to URL to send, or --from URL to receive`,
		"/a --to nats://h/s --from nats://h/s":    `give --to URL to send, or --from URL to receive`,
		"/a --to h/s":                             `"h/s" does not begin with nats://`,
		"/a --to nats://h":                        `""; it takes words joined by dots`,
		"/a --to nats://h/a.*.*":                  `one * stands for the name of the ring`,
		"/a --to nats://h/a.>":                    `it takes words joined by dots`,
		"/a --to nats://u:p@h/s":                  `any user could see a password on the command line; set NATS_USER and NATS_PASSWORD`,
		"/a --to nats://h:x/s":                    `"h:x" is no host`,
		"/a /b --to nats://h/s":                   `2 rings need a subject each`,
		"/a --to nats:///s":                       `the URL names no host`,
		"/a --to nats://h/s --size 1M":            `--size says how the object is made; it needs --create`,
		"/a --to nats://h/s --broadcast -c":       `--broadcast needs --from`,
		"/a --from nats://h/s --messages -c":      `--messages is for a ring to send from`,
		"/a --from nats://h/s --tlscert x":        `--tlscert and --tlskey belong together`,
		"/a --from nats://h/s --creds x --nkey x": `--creds and --nkey exclude each other`,
		"x --from nats://h/s":                     `x`,
	} {
		wantFailure(t, 2, args, want)
	}
	for args, want := range map[string]string{
		"/a --to nats://127.0.0.1:1/s --context nosuch":  `no such file`,
		"/a --to nats://127.0.0.1:1/s --creds /no/creds": `/no/creds`,
		"/a --to nats://127.0.0.1:1/s --nkey /no/nkey":   `/no/nkey`,
		"/a --to nats://127.0.0.1:1/s --tlsca /no/ca":    `/no/ca`,
		"/many --from nats://127.0.0.1:1/s":              `the ring in /many is for several senders; a relay receives into a ring for one`,
		"/many --from nats://127.0.0.1:1/s --create":     `the ring in /many is for several senders`,
	} {
		wantFailure(t, 1, args, want)
	}
}

// wantFailure checks the status, and that the last line says what is wanted.
func wantFailure(t *testing.T, want int, args, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, ipctest.Build(t, "."), strings.Fields(args)...).CombinedOutput()
	status := new(exec.ExitError)
	if said := string(out); !errors.As(err, &status) || status.ExitCode() != want || strings.Count(said, "\n") != 1 ||
		!strings.HasPrefix(said, "gshm-relay: ") || !strings.Contains(said, text) {
		t.Errorf("%s: %v, %s; want %s", args, err, said, text)
	}
}

// TestFullShm creates a ring for which /dev/shm has no room.
func TestFullShm(t *testing.T) {
	ipctest.Build(t, ".")
	ipctest.MountShm(t, 1<<20)
	wantFailure(t, 1, "/x --create --size 16MiB --to nats://127.0.0.1:1/s", "/dev/shm cannot hold 18878464 bytes")
}
