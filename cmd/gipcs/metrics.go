//go:build linux

package main

import (
	"io"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/metrics"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/safepath"
)

// prometheus is the format of the Prometheus text exposition.
const prometheus = "prometheus"

// metricsFlags are the flags of all listings, with the format prometheus and a file for it.
func metricsFlags() []cli.Flag {
	flags := command.FormatFlags("plain")
	format := flags[0].(*command.ChoiceFlag)
	format.Words = func() []string { return append(render.FormatNames(), prometheus) }
	return append(flags, &cli.StringFlag{Name: "textfile", Usage: "write the metrics of --format prometheus to `FILE`"})
}

// A metricsOptions says where metrics go.
type metricsOptions struct {
	file string // "" is standard output
}

// readMetricsOptions returns nil unless metrics are asked for.
func readMetricsOptions(c *cli.Context) (*metricsOptions, error) {
	switch {
	case c.String("format") != prometheus && c.IsSet("textfile"):
		return nil, command.Usagef("--textfile is for metrics; add --format prometheus")
	case c.String("format") != prometheus:
		return nil, nil
	case c.Bool("json"):
		return nil, command.Usagef("--json and --format prometheus exclude each other")
	case c.IsSet("textfile") && c.String("textfile") == "":
		return nil, command.Usagef("--textfile needs the name of a file, such as /var/lib/prometheus/node-exporter/gipc.prom")
	}
	return &metricsOptions{c.String("textfile")}, nil
}

// write writes metrics. A file is replaced at once, and every user may read it: the program
// that collects text files is another user.
func (o *metricsOptions) write(c *cli.Context, families []metrics.Family) error {
	if o.file == "" {
		return metrics.Write(c.App.Writer, families)
	}
	const readable = 0o644
	return safepath.Replace(o.file, readable, nil, func(w io.Writer) error { return metrics.Write(w, families) })
}
