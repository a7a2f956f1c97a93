//go:build linux

package main

import (
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"

	"github.com/sysvipc/gipc/cmd/extra/internal/natsauth"
	"github.com/sysvipc/gipc/cmd/extra/relay"
	"github.com/sysvipc/gipc/cmd/internal/command"
)

// A dialer has one connection for each set of servers.
type dialer struct {
	auth  natsauth.Auth
	log   *slog.Logger
	conns map[string]*nats.Conn
}

// routes returns the routes of one of n objects.
func (d *dialer) routes(to []address, name string, n int) (routes []relay.Route, err error) {
	for _, a := range to {
		conn, err := d.dial(a.servers)
		if err != nil {
			return nil, err
		}
		subject, err := a.subjectOf(name, n)
		if err != nil {
			return nil, err
		}
		routes = append(routes, relay.Route{Conn: conn, Subject: subject})
	}
	return routes, nil
}

func (d *dialer) dial(servers string) (*nats.Conn, error) {
	if servers == "" {
		servers = d.auth.URL
	}
	if servers == "" {
		return nil, command.Usagef("the URL names no host, and there is no --context that does")
	}
	if conn := d.conns[servers]; conn != nil {
		return conn, nil
	}
	options, err := d.auth.Options("gshm relay", d.log)
	if err != nil {
		return nil, err
	}
	conn, err := nats.Connect(servers, options...)
	if err != nil {
		return nil, fmt.Errorf("NATS: %w", natsauth.Trimmed(err))
	}
	if d.conns == nil {
		d.conns = map[string]*nats.Conn{}
	}
	d.conns[servers] = conn
	return conn, nil
}

func (d *dialer) close() {
	for _, conn := range d.conns {
		conn.Close()
	}
}
