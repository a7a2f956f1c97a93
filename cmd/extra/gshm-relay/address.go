//go:build linux

package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/extra/relay"
)

// An address is a URL: one or several servers, and a subject. Without servers, those of the
// context are used.
type address struct{ servers, subject string }

// wildcard stands for the name of an object in a subject.
const wildcard = "*"

// parseAddress parses nats://HOST[:PORT][,HOST[:PORT]...]/SUBJECT.
func parseAddress(text string) (a address, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, scheme) {
		return a, fmt.Errorf("%q does not begin with nats://, tls://, ws:// or wss://", text)
	}
	hosts, subject, _ := strings.Cut(rest, "/")
	if strings.Contains(hosts, "@") {
		return a, fmt.Errorf("any user could see a password on the command line; set NATS_USER and NATS_PASSWORD, or give --creds, --nkey or --context")
	}
	var servers []string
	for host := range strings.SplitSeq(hosts, ",") {
		if hosts == "" {
			break
		}
		server := scheme + "://" + host
		if u, err := url.Parse(server); err != nil || u.Hostname() == "" {
			return a, fmt.Errorf("%q is no host, or host and port", host)
		}
		servers = append(servers, server)
	}
	a = address{strings.Join(servers, ","), subject}
	if n := strings.Count(subject, wildcard); n > 1 {
		return a, fmt.Errorf("%q: one * stands for the name of the ring", subject)
	}
	return a, relay.CheckSubject(strings.Replace(subject, wildcard, "x", 1))
}

// subjectOf returns the subject of one of n objects.
func (a address) subjectOf(name string, n int) (string, error) {
	if n > 1 && !strings.Contains(a.subject, wildcard) {
		return "", fmt.Errorf("%d rings need a subject each; %q has no * for their names", n, a.subject)
	}
	subject := strings.Replace(a.subject, wildcard, name, 1)
	return subject, relay.CheckSubject(subject)
}
