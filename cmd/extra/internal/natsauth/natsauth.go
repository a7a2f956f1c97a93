//go:build linux

// Package natsauth holds the flags and the options with which programs connect to NATS.
package natsauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
)

// Auth says how to connect. The names of fields are those of a context of the nats program.
type Auth struct {
	URL         string `json:"url"`
	User        string `json:"user"`
	Password    string `json:"password"`
	Token       string `json:"token"`
	Creds       string `json:"creds"`
	NKey        string `json:"nkey"`
	Cert        string `json:"cert"`
	Key         string `json:"key"`
	CA          string `json:"ca"`
	TLSFirst    bool   `json:"tls_first"`
	InboxPrefix string `json:"inbox_prefix"`

	// These are not supported.
	NSC   string `json:"nsc"`
	Socks string `json:"socks_proxy"`
	JWT   string `json:"user_jwt"`
}

// Flags returns the flags that Read reads. They are named as those of the nats program.
func Flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "context", Usage: "connect as the NATS context `NAME` or file says"},
		&cli.StringFlag{Name: "creds", Usage: "`FILE` with NATS credentials"},
		&cli.StringFlag{Name: "nkey", Usage: "`FILE` with the seed of an nkey"},
		&cli.StringFlag{Name: "tlsca", Usage: "`FILE` with the authorities of the server, PEM"},
		&cli.StringFlag{Name: "tlscert", Usage: "`FILE` with a certificate of this client, PEM"},
		&cli.StringFlag{Name: "tlskey", Usage: "`FILE` with its key, PEM"},
		&cli.BoolFlag{Name: "tlsfirst", Usage: "begin with TLS, before the server says anything", DisableDefaultText: true},
	}
}

// Read reads the context, then the environment and the flags, which go first.
func Read(c *cli.Context) (a Auth, err error) {
	if c.IsSet("context") {
		if a, err = readContext(c.String("context")); err != nil {
			return a, err
		}
	}
	if user := os.Getenv("NATS_USER"); user != "" {
		a.User, a.Password, a.Token = user, os.Getenv("NATS_PASSWORD"), ""
	}
	if token := os.Getenv("NATS_TOKEN"); token != "" {
		a.User, a.Password, a.Token = "", "", token
	}
	for name, to := range map[string]*string{"creds": &a.Creds, "nkey": &a.NKey, "tlsca": &a.CA, "tlscert": &a.Cert, "tlskey": &a.Key} {
		if c.IsSet(name) {
			*to = c.String(name)
		}
	}
	a.TLSFirst = a.TLSFirst || c.Bool("tlsfirst")
	switch {
	case (a.Cert == "") != (a.Key == ""):
		return a, command.Usagef("--tlscert and --tlskey belong together")
	case a.Creds != "" && a.NKey != "":
		return a, command.Usagef("--creds and --nkey exclude each other")
	}
	return a, nil
}

// readContext reads a context that the nats program has saved: a name, or the path of its
// file.
func readContext(name string) (a Auth, err error) {
	path := name
	if !strings.Contains(name, "/") {
		dir, err := os.UserConfigDir()
		if err != nil {
			return a, fmt.Errorf("--context: %w", err)
		}
		path = filepath.Join(dir, "nats", "context", name+".json")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return a, fmt.Errorf("--context: %w", err)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("--context: %s: %w", path, err)
	}
	for what, value := range map[string]string{"nsc": a.NSC, "socks_proxy": a.Socks, "user_jwt": a.JWT} {
		if value != "" {
			return a, fmt.Errorf("--context: %s: %s is not supported; take creds", path, what)
		}
	}
	for _, file := range []*string{&a.Creds, &a.NKey, &a.Cert, &a.Key, &a.CA} {
		if rest, ok := strings.CutPrefix(*file, "~/"); ok {
			home, err := os.UserHomeDir()
			if err != nil {
				return a, fmt.Errorf("--context: %s: %w", path, err)
			}
			*file = filepath.Join(home, rest)
		}
	}
	return a, nil
}

// Times of a connection. A host that comes back is noticed within a second or so, and one
// that has gone within a few.
const (
	reconnectWait   = 200 * time.Millisecond
	reconnectJitter = 100 * time.Millisecond
	dialTimeout     = 2 * time.Second
	pingInterval    = 2 * time.Second
	maxPingsOut     = 2
)

// Options returns the options of a connection. The server shows name as that of the client.
func (a *Auth) Options(name string, log *slog.Logger) ([]nats.Option, error) {
	list := []nats.Option{
		nats.Name(name), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.Timeout(dialTimeout), nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(maxPingsOut),
		nats.ErrorHandler(newTroubles(log).report),
		nats.LameDuckModeHandler(func(*nats.Conn) { log.Info("the server is about to stop; another one is taken if there is one") }),
	}
	add := func(o nats.Option, is bool) {
		if is {
			list = append(list, o)
		}
	}
	add(nats.UserInfo(a.User, a.Password), a.User != "")
	add(nats.Token(a.Token), a.Token != "")
	add(nats.UserCredentials(a.Creds), a.Creds != "")
	add(nats.RootCAs(a.CA), a.CA != "")
	add(nats.ClientCert(a.Cert, a.Key), a.Cert != "")
	add(nats.TLSHandshakeFirst(), a.TLSFirst)
	add(nats.CustomInboxPrefix(a.InboxPrefix), a.InboxPrefix != "")
	if a.NKey != "" {
		o, err := nats.NkeyOptionFromSeed(a.NKey)
		if err != nil {
			return nil, fmt.Errorf("--nkey: %s: %w", a.NKey, err)
		}
		list = append(list, o)
	}
	if a.Creds != "" { // the client reads it only when it has reached a server
		if _, err := os.Stat(a.Creds); err != nil {
			return nil, fmt.Errorf("--creds: %w", err)
		}
	}
	return list, nil
}

// troubles logs what the server objects to, such as missing permissions, once each time that
// it changes.
type troubles struct {
	log  *slog.Logger
	mu   sync.Mutex
	last string
}

func newTroubles(log *slog.Logger) *troubles { return &troubles{log: log} }

func (t *troubles) report(_ *nats.Conn, _ *nats.Subscription, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := command.OneLine(err.Error()); text != t.last {
		t.last = text
		t.log.Warn("the server objects", "error", text)
	}
}

// Trimmed returns an error of the client without the client's own name.
func Trimmed(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "nats: ")) }

// Connect connects to servers, a list of URLs, or if that is empty to those of the context.
func (a *Auth) Connect(servers, name string, log *slog.Logger, more ...nats.Option) (*nats.Conn, error) {
	if servers == "" {
		servers = a.URL
	}
	if servers == "" {
		return nil, command.Usagef("--nats URL is missing, and there is no --context that has one")
	}
	options, err := a.Options(name, log)
	if err != nil {
		return nil, err
	}
	conn, err := nats.Connect(servers, append(options, more...)...)
	if err != nil {
		return nil, fmt.Errorf("NATS: %s: %w", servers, Trimmed(err))
	}
	return conn, nil
}

// CheckServers returns an error unless text is a list of URLs of servers, joined by commas.
func CheckServers(text string) error {
	for server := range strings.SplitSeq(text, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		switch {
		case err == nil && u.User != nil:
			return errors.New("any user could see a password on the command line; set NATS_USER and NATS_PASSWORD, or give --creds, --nkey or --context")
		case err != nil || u.Hostname() == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
			return fmt.Errorf("%q is no server: want nats://HOST[:PORT], or tls://, ws:// or wss://", server)
		}
	}
	return nil
}
