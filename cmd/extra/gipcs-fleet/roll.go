//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/extra/fleet"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/hosts"
	"github.com/sysvipc/gipc/cmd/internal/safepath"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// A roll says which hosts there should be: those that the flags name, or else those that are
// there and those that were seen lately.
type roll struct {
	named  []string
	path   string               // of the file of hosts that were seen, "" for none
	seen   map[string]time.Time // when each has answered last
	within time.Duration
	wait   time.Duration // for hosts to say that they are there
	twice  []string      // hosts with two agents
}

func readRoll(c *cli.Context) (r roll, err error) {
	r.seen = make(map[string]time.Time)
	for _, text := range c.StringSlice("host") {
		for host := range strings.SplitSeq(text, ",") {
			if err := fleet.CheckHost(host); err != nil {
				return r, command.Usagef("--host: %w", err)
			}
			r.named = append(r.named, host)
		}
	}
	for _, name := range c.StringSlice("hosts") {
		more, err := readHosts(name)
		if err != nil {
			return r, fmt.Errorf("--hosts %s: %w", name, err)
		}
		r.named = append(r.named, more...)
	}
	r.named = hosts.Unique(r.named)
	if r.within, err = units.ParseDuration(c.String("within")); err != nil {
		return r, command.Usagef("--within: %w", err)
	}
	if r.wait, err = positive(c, "discover"); err != nil {
		return r, err
	}
	if len(r.named) > 0 {
		if c.IsSet("seen") {
			return r, command.Usagef("--seen and a list of hosts exclude each other")
		}
		return r, nil
	}
	if r.path = c.String("seen"); !c.IsSet("seen") {
		if r.path, err = seenPath(); err != nil {
			return r, err
		}
	}
	return r, r.load()
}

func readHosts(name string) (list []string, err error) {
	file := os.Stdin
	if name != "-" {
		if file, err = os.Open(name); err != nil {
			return nil, err
		}
		defer file.Close()
	}
	if list, err = hosts.ReadList(file); err != nil {
		return nil, err
	}
	for _, host := range list {
		if err := fleet.CheckHost(host); err != nil {
			return nil, err
		}
	}
	if len(list) == 0 {
		return nil, errors.New("it names no host")
	}
	return list, nil
}

// seenPath returns the file of hosts that were seen, as the XDG specification has it.
func seenPath() (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("%w; --seen or --hosts says which hosts there should be", err)
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "gipc", "fleet"), nil
}

// load reads the file of hosts that were seen: a host and a time on each line.
func (r *roll) load() error {
	file, err := os.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		host, text, _ := strings.Cut(lines.Text(), " ")
		at, err := time.Parse(time.RFC3339, text)
		if err = errors.Join(fleet.CheckHost(host), err); err != nil {
			return fmt.Errorf("%s: line %d is not a host and a time; this is no file of gipcs fleet --seen", r.path, n)
		}
		r.seen[host] = at
	}
	return lines.Err()
}

// call returns the hosts to ask.
func (r *roll) call(ctx context.Context, conn *nats.Conn) ([]string, error) {
	if len(r.named) > 0 {
		return r.named, nil
	}
	found, err := fleet.Discover(ctx, conn, r.wait)
	if err != nil {
		return nil, err
	}
	r.twice = found.Twice
	all := found.Hosts
	for host, at := range r.seen {
		if time.Since(at) <= r.within {
			all = append(all, host)
		}
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		return nil, errors.New("no agent answers, and none has answered lately; a host runs gipcs agent --nats URL")
	}
	return all, nil
}

// answered notes that a host has answered.
func (r *roll) answered(host string) { r.seen[host] = time.Now() }

// save writes the file of hosts that were seen.
func (r *roll) save() error {
	if r.path == "" {
		return nil
	}
	const private, privateDir = 0o600, 0o700
	if err := os.MkdirAll(filepath.Dir(r.path), privateDir); err != nil {
		return err
	}
	return safepath.Replace(r.path, private, func(*os.File) error { return nil }, func(w io.Writer) error {
		b := bufio.NewWriter(w)
		for _, host := range slices.Sorted(maps.Keys(r.seen)) {
			fmt.Fprintln(b, host, r.seen[host].UTC().Format(time.RFC3339))
		}
		return b.Flush()
	})
}
