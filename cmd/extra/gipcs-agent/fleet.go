//go:build linux

package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/extra/fleet"
	"github.com/sysvipc/gipc/cmd/extra/internal/natsauth"
	"github.com/sysvipc/gipc/cmd/internal/command"
)

// fleetOptions say how the agent answers over NATS.
type fleetOptions struct {
	servers string
	host    string
	auth    natsauth.Auth
}

// readFleet returns nil without --nats and --context.
func readFleet(c *cli.Context) (*fleetOptions, error) {
	o := &fleetOptions{servers: c.String("nats"), host: c.String("name")}
	if !c.IsSet("nats") && !c.IsSet("context") {
		for _, f := range append(natsauth.Flags(), &cli.StringFlag{Name: "name"}) {
			if name := f.Names()[0]; c.IsSet(name) {
				return nil, command.Usagef("--%s has a meaning only with --nats or --context", name)
			}
		}
		return nil, nil
	}
	var err error
	if c.IsSet("nats") {
		if err = natsauth.CheckServers(o.servers); err != nil {
			return nil, command.Usagef("--nats: %w", err)
		}
	}
	if !c.IsSet("name") {
		if o.host, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	if err = fleet.CheckHost(o.host); err != nil {
		return nil, command.Usagef("--name: %w", err)
	}
	o.auth, err = natsauth.Read(c)
	return o, err
}

// serveFleet answers gipcs fleet until ctx is done.
func serveFleet(ctx context.Context, o *options, log *slog.Logger) error {
	agent, err := fleet.NewAgent(o.fleet.host, log)
	if err != nil {
		return err
	}
	conn, err := o.fleet.auth.Connect(o.fleet.servers, "gipcs agent", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	return agent.Serve(ctx, conn)
}
