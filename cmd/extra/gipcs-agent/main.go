//go:build linux

// Gipcs-agent serves metrics of the IPC objects of a machine to Prometheus, a page for
// people, and answers to gipcs fleet. See gipcs-agent(8) or gipcs-agent --help.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/extra/internal/natsauth"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

func main() { os.Exit(command.Run(app(), os.Args)) }

const description = `/metrics is for Prometheus, / for people, and /healthz for supervisors.
Objects are those of the IPC namespace and the /dev/shm in which it runs. As
root it sees the users of all objects.

Beyond this machine (any address but a loopback one) it serves only with TLS
and a token, unless --insecure is given. A client sends the token as
"Authorization: Bearer TOKEN" or as the password of any user.

With --nats it also answers gipcs fleet, for this host. It only reads. The
environment may have NATS_USER and NATS_PASSWORD, or NATS_TOKEN.`

func app() *cli.App {
	return &cli.App{
		Name:        "gipcs-agent",
		Usage:       "serve metrics of IPC objects to Prometheus",
		UsageText:   "gipcs agent [options]",
		Description: description,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "listen", Aliases: []string{"l"}, Value: "127.0.0.1:9787", Usage: "listen on the `ADDRESS` and port; with --nats may be ''"},
			&cli.StringFlag{Name: "max-age", Value: "5s", Usage: "scan again after `DURATION`"},
			&cli.StringFlag{Name: "by", Value: "kind,verdict,owner", Usage: "sum up objects by the text columns `LIST`"},
			&cli.StringFlag{Name: "tls-cert", Usage: "`FILE` with the certificate, PEM"},
			&cli.StringFlag{Name: "tls-key", Usage: "`FILE` with its key, PEM"},
			&cli.StringFlag{Name: "token-file", Usage: "`FILE` with the token that clients must send"},
			&cli.BoolFlag{Name: "insecure", Usage: "serve other machines without TLS or token", DisableDefaultText: true},
			&cli.StringFlag{Name: "nats", Usage: "also answer gipcs fleet, over the NATS server `URL`"},
			&cli.StringFlag{Name: "name", Usage: "with --nats: answer as `HOST` (default: this host's name)"},
		}, natsauth.Flags()),
		Action: run,
	}
}

// options holds what the flags say.
type options struct {
	listen string
	maxAge time.Duration
	layout *groups.Layout
	tls    *tls.Config // nil: plain HTTP
	token  *token      // nil: for everybody
	fleet  *fleetOptions
}

func readOptions(c *cli.Context) (*options, error) {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return nil, err
	}
	o := &options{listen: c.String("listen")}
	var err error
	if o.maxAge, err = units.ParseDuration(c.String("max-age")); err != nil {
		return nil, command.Usagef("--max-age: %w", err)
	}
	if o.layout, err = groups.NewLayout(c.String("by"), "", ""); err != nil {
		return nil, command.Usagef("--by: %w", err)
	}
	cert, key, tokenFile := c.String("tls-cert"), c.String("tls-key"), c.String("token-file")
	if (cert == "") != (key == "") {
		return nil, command.Usagef("--tls-cert and --tls-key belong together")
	}
	if o.fleet, err = readFleet(c); err != nil {
		return nil, err
	}
	if o.listen == "" && o.fleet != nil {
		return o, nil
	}
	if err := checkAddress(o.listen, cert != "" && tokenFile != "" || c.Bool("insecure")); err != nil {
		return nil, command.Usagef("--listen: %w", err)
	}
	if cert != "" {
		if o.tls, err = readTLS(cert, key); err != nil {
			return nil, err
		}
	}
	if tokenFile != "" {
		o.token, err = readToken(tokenFile)
	}
	return o, err
}

// gcPercent suits a program that runs for months and keeps little between two scans.
const gcPercent = 200

func run(c *cli.Context) error {
	o, err := readOptions(c)
	if err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	ctx, stop := command.Interruptible(context.Background())
	defer stop()
	return serve(ctx, o, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// serve serves until ctx is done, or until one of its services fails.
func serve(ctx context.Context, o *options, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	n := 0
	for _, service := range []struct {
		is  bool
		run func(context.Context, *options, *slog.Logger) error
	}{{o.listen != "", serveHTTP}, {o.fleet != nil, serveFleet}} {
		if service.is {
			n++
			go func() { failed <- service.run(ctx, o, log) }()
		}
	}
	var err error
	for range n {
		err = errors.Join(err, <-failed)
		cancel()
	}
	return err
}

// serveHTTP serves metrics and the page until ctx is done.
func serveHTTP(ctx context.Context, o *options, log *slog.Logger) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	server := newServer(o, newScanner(o.layout, o.maxAge, log), log)
	failed := make(chan error, 1)
	go func() {
		if o.tls != nil {
			failed <- server.ServeTLS(listener, "", "")
		} else {
			failed <- server.Serve(listener)
		}
	}()
	log.Info("serving", "address", listener.Addr().String(), "tls", o.tls != nil, "token", o.token != nil)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	const patience = 10 * time.Second
	within, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = server.Shutdown(within)
	if errors.Is(err, context.DeadlineExceeded) { // a client that does not read
		err = server.Close()
	}
	if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}
