//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/policy"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

const cleanHelp = `Removes what the rules of a policy select, unattended, and prints one line
with the totals. Without --yes it only lists what it would remove, and why. A
policy is a TOML file, such as:

   max-objects = 1000
   [backup]
   directory = "/var/backups/gipc"
   max-age = "30d"
   [[rule]]
   name = "crashed"
   select = "orphans"
   idle = "1d"
   [[keep]]
   key = "0x4d2"

gipcs(1) describes all keys. A policy with a mistake is refused, and so is
one that users other than you and root can write to. Every object is checked
again just before it is removed, as gipcs rm does. Only one clean-up runs at
a time. The next one finishes what a killed one began.`

func cleanCommand() *cli.Command {
	return &cli.Command{
		Name:        "clean",
		Usage:       "remove what a policy selects, unattended",
		Description: cleanHelp,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "policy", Aliases: []string{"p"}, Usage: "the policy `FILE`"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "remove the objects", DisableDefaultText: true},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing unless something failed or was left", DisableDefaultText: true},
			namespaceFlag(), partialFlag(),
		}, command.FormatFlags("plain"), hostFlags()),
		Action: onHosts(cleanOnHosts, inNamespace(clean)),
	}
}

// A cleanRun is a run of gipcs clean.
type cleanRun struct {
	*cli.Context
	policy *policy.Policy
	format render.Format
	names  *account.Directory
	began  time.Time
	rules  []*cleanRule
	taken  map[ref.Object]bool // objects that a rule has chosen, or a keep protects
	budget budget

	results     []cleanResult
	kept        int // objects that are protected
	trouble     int // failures that concern no object
	interrupted bool
	resumed     bool     // the run finished what a killed run had left
	backup      string   // of this run; "" if nothing was saved
	deleted     []string // old backups
}

// A cleanRule is a rule with the objects that it has chosen.
type cleanRule struct {
	policy.Rule
	chooser
	chosen []removal.Target
}

func clean(c *cli.Context) error {
	r, err := readClean(c)
	if err != nil {
		return err
	}
	if !c.Bool("yes") {
		if err := r.choose(); err != nil {
			return err
		}
		r.foresee()
		return r.report()
	}
	return r.act()
}

func readClean(c *cli.Context) (*cleanRun, error) {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return nil, err
	}
	r := &cleanRun{Context: c, names: account.New(), began: time.Now(), taken: make(map[ref.Object]bool)}
	var err error
	if r.format, err = command.FormatOf(c); err != nil {
		return nil, err
	}
	if c.IsSet("partial") {
		return nil, errPartial()
	}
	if !c.IsSet("policy") {
		return nil, command.Usagef("--policy is missing; it names the file that says what to remove")
	}
	// A mistake in the policy counts as a wrong command line.
	if r.policy, err = policy.Read(c.String("policy"), r.names); err != nil {
		return nil, command.Usage(err)
	}
	r.budget = budget{maxObjects: r.policy.MaxObjects, maxBytes: r.policy.MaxBytes}
	for _, rule := range r.policy.Rules {
		r.rules = append(r.rules, r.newRule(rule))
	}
	return r, nil
}

func (r *cleanRun) newRule(rule policy.Rule) *cleanRule {
	c := &cleanRule{Rule: rule}
	c.chooser = chooser{
		Context: r.Context, selected: rule.Selection, names: r.names,
		assume: inventory.Options{HiddenIdle: rule.IgnoreHidden, WithMessages: rule.WithMessages},
		advice: advice{
			where:    "where",
			posix:    `set kinds = ["sysv", "posix"] to remove %s`,
			messages: "set with-messages to remove %s",
			hidden:   "set ignore-hidden to assume that they use none of these",
		},
		protect: r.protect,
		say:     func(format string, args ...any) { r.say("rule %q: "+format, append([]any{rule.Name}, args...)...) },
	}
	c.more = inventory.WantVerdict // the plan and the log explain the verdict
	for _, k := range r.policy.Keep {
		c.more |= k.Selection.Want()
	}
	return c
}

// say writes a note to standard error, unless the run is to be quiet.
func (r *cleanRun) say(format string, args ...any) {
	if !r.Bool("quiet") {
		fmt.Fprintln(r.App.ErrWriter, command.OneLine(fmt.Sprintf(r.App.Name+": "+format, args...)))
	}
}

// fail reports a failure that concerns no object.
func (r *cleanRun) fail(err error) {
	r.trouble++
	command.Report(r.App.ErrWriter, r.App.Name, err)
}

// choose lets each rule choose its objects.
func (r *cleanRun) choose() error {
	for _, rule := range r.rules {
		var err error
		if rule.chosen, err = rule.targets(); err != nil {
			return err
		}
		if rule.incomplete {
			r.trouble++
		}
	}
	return nil
}

// protect returns the targets that no earlier rule has chosen and no [[keep]] protects.
// A [[keep]] whose condition depends on an unknown field protects the object.
func (r *cleanRun) protect(inv *inventory.Inventory, targets []removal.Target) []removal.Target {
	targets = slices.DeleteFunc(targets, func(t removal.Target) bool { return r.taken[t.Ref()] })
	candidates := *inv
	candidates.Objects = nil
	for _, t := range targets {
		candidates.Objects = append(candidates.Objects, *t.Object)
	}
	protected := make(map[ref.Object]bool)
	for _, k := range r.policy.Keep {
		for _, o := range k.Selection.Possible(&candidates, r.names) {
			protected[o.Ref()] = true
		}
	}
	r.kept += len(protected)
	for _, t := range targets {
		r.taken[t.Ref()] = true
	}
	return slices.DeleteFunc(targets, func(t removal.Target) bool { return protected[t.Ref()] })
}

// foresee records whether each chosen object would be removed.
func (r *cleanRun) foresee() {
	for _, rule := range r.rules {
		for _, t := range rule.chosen {
			result := cleanResult{rule: rule.Name, target: t, outcome: wouldRemove}
			if err := r.budget.take(t.Object); err != nil {
				result.outcome, result.reason = wasLeft, err
			}
			r.results = append(r.results, result)
		}
	}
}
