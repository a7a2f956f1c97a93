//go:build linux

// Gipcs-fleet lists the IPC objects of many hosts, whose gipcs-agent answers over NATS. See
// gipcs-fleet(1) or gipcs-fleet --help.
package main

import (
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/extra/internal/natsauth"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/selectflags"
)

func main() { os.Exit(command.Run(app(), os.Args)) }

const description = `Every host runs gipcs agent --nats URL, which answers and only reads. Tables
are those of gipcs, with the host in the first column. A host that does not
answer is named, and makes the exit status 1.

   gipcs fleet ls --nats nats://hub --orphans
   gipcs fleet ls --nats nats://hub --hosts all.txt --kind shm --sort -size
   gipcs fleet snapshot --nats nats://hub before
   gipcs fleet diff --nats nats://hub before --by program

Which hosts there should be is read from --hosts. Without it, those are asked
that are there now or answered in the last days (--within). The environment
may have NATS_USER and NATS_PASSWORD, or NATS_TOKEN.`

func app() *cli.App {
	return &cli.App{
		Name:        "gipcs-fleet",
		Usage:       "list the IPC objects of many hosts, over NATS",
		UsageText:   "gipcs fleet COMMAND [options]",
		Description: description,
		Commands: []*cli.Command{
			{
				Name:   "ls",
				Usage:  "list objects",
				Flags:  slices.Concat(selectflags.Kinds(), selectflags.Flags(), columnFlags(), tableFlags("table"), fleetFlags()),
				Action: withHosts(ls),
			},
			{
				Name:   "limits",
				Usage:  "show limits and their use",
				Flags:  slices.Concat(selectflags.Flags(), tableFlags("table"), fleetFlags()),
				Action: withHosts(showLimits),
			},
			{
				Name:      "show",
				Usage:     "show everything about objects, without their contents",
				ArgsUsage: "KIND:REF...",
				Flags: slices.Concat([]cli.Flag{selectflags.WithMessages(), selectflags.IgnoreHidden()},
					command.FormatFlags("plain"), fleetFlags()),
				Action: withHosts(show),
			},
			{
				Name:      "snapshot",
				Usage:     "save what is there now, a file for each host in DIR",
				ArgsUsage: "DIR",
				Flags:     slices.Concat(selectflags.Kinds(), selectflags.Flags(), fleetFlags()),
				Action:    withHosts(takeSnapshots),
			},
			{
				Name:      "diff",
				Usage:     "show what came, went and grew since gipcs fleet snapshot",
				ArgsUsage: "DIR [DIR]",
				Flags: slices.Concat([]cli.Flag{&command.ChoiceFlag{
					StringFlag: &cli.StringFlag{Name: "by", Usage: "sum up by the columns `LIST`, such as program or owner"},
					Words:      groups.Columns, List: true,
				}}, tableFlags("plain"), fleetFlags()),
				Action: diff,
			},
		},
	}
}

// fleetFlags are the flags that say which hosts to ask, and how.
func fleetFlags() []cli.Flag {
	const category = "HOSTS"
	list := []cli.Flag{
		&cli.StringFlag{Name: "nats", Usage: "connect to the NATS server `URL`, or a list of them"},
		&cli.StringSliceFlag{Name: "host", Usage: "ask the hosts `LIST`: HOST,..."},
		&cli.StringSliceFlag{Name: "hosts", Usage: "ask the hosts in `FILE`, one a line; - is stdin"},
		&cli.StringFlag{Name: "seen", Usage: "note in `FILE` which hosts have answered, and when"},
		&cli.StringFlag{Name: "within", Value: "7d", Usage: "miss hosts that were seen in `DURATION`"},
		&cli.StringFlag{Name: "discover", Value: "500ms", Usage: "wait `DURATION` for hosts to be found"},
		&cli.StringFlag{Name: "timeout", Value: "10s", Usage: "give up on a host after `DURATION`"},
		&cli.StringFlag{Name: "parallel", Value: "64", Usage: "let `N` hosts answer at a time"},
	}
	list = append(list, natsauth.Flags()...)
	for _, f := range list {
		switch f := f.(type) {
		case *cli.StringFlag:
			f.Category = category
		case *cli.StringSliceFlag:
			f.Category = category
		case *cli.BoolFlag:
			f.Category = category
		}
	}
	return list
}

// tableFlags are the flags of listings.
func tableFlags(format string) []cli.Flag {
	return append([]cli.Flag{
		&cli.BoolFlag{Name: "no-headings", Usage: "omit the headings", DisableDefaultText: true},
		&cli.BoolFlag{Name: "human", Aliases: []string{"b"}, Usage: "show sizes as 4K or 1.5M", DisableDefaultText: true},
	}, command.FormatFlags(format)...)
}
