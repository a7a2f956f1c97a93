package fleet

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/sysvipc/gipc/cmd/extra/internal/extratest"
)

// page returns a page of an answer, with more headers.
func page(host, id string, n int, body []byte, more ...string) *nats.Msg {
	m := &nats.Msg{Data: body, Header: nats.Header{
		headerHost: {host}, headerVersion: {"9"}, headerProtocol: {"1"}, headerAnswer: {id}, headerPage: {strconv.Itoa(n)},
	}}
	for i := 0; i < len(more); i += 2 {
		m.Header[more[i]] = []string{more[i+1]}
	}
	return m
}

func packed(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text)) // a buffer cannot fail
	_ = z.Close()
	return b.Bytes()
}

// bomb returns a small text that is much longer when it is unpacked.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	block := bytes.Repeat([]byte(strings.Repeat("x", 1023)+"\n"), 1<<10)
	for range maxText>>20 + 2 {
		_, err := z.Write(block)
		check(t, err)
	}
	check(t, z.Close())
	return b.Bytes()
}

// TestHostile: whatever comes instead of an answer has a defined result, in bounded memory.
func TestHostile(t *testing.T) {
	noise := make([]byte, maxPage)
	_, _ = rand.Read(noise) // never fails
	var flood []*nats.Msg
	for i := range maxPacked/maxPage + 2 {
		flood = append(flood, page("web1", "a", i+1, noise))
	}
	two := packed("one\ntwo\n")
	last := []string{headerStatus, "0"}
	for name, c := range map[string]struct {
		pages []*nats.Msg
		want  string // in the error; "" for a complete answer
	}{
		"whole":            {[]*nats.Msg{page("web1", "a", 1, two[:9]), page("web1", "a", 2, two[9:], last...)}, ""},
		"a page twice":     {[]*nats.Msg{page("web1", "a", 1, two[:9]), page("web1", "a", 1, two[:9]), page("web1", "a", 2, two[9:], last...)}, ""},
		"a page lost":      {[]*nats.Msg{page("web1", "a", 1, two[:9]), page("web1", "a", 3, two[9:], last...)}, "page 2 of its answer was lost"},
		"the first lost":   {[]*nats.Msg{page("web1", "a", 2, two, last...)}, "page 1 of its answer was lost"},
		"two agents":       {[]*nats.Msg{page("web1", "a", 1, two[:9]), page("web1", "b", 1, two[:9])}, "two agents answer for it"},
		"a liar":           {[]*nats.Msg{page("web2", "a", 1, two, last...)}, `says that it comes from "web2"`},
		"a liar at last":   {[]*nats.Msg{page("web1", "a", 1, two[:9]), page("web2", "a", 2, two[9:], last...)}, `says that it comes from "web2"`},
		"no header":        {[]*nats.Msg{{Data: two}}, `says that it comes from ""`},
		"no protocol":      {[]*nats.Msg{page("web1", "a", 1, two, headerProtocol, "x")}, "none of the protocol"},
		"a strange status": {[]*nats.Msg{page("web1", "a", 1, two, headerStatus, "7")}, "neither 0 nor 1"},
		"a strange page":   {[]*nats.Msg{page("web1", "a", 1, two, headerPage, "x")}, "none of the protocol"},
		"a flood":          {flood, "its answer is longer than 16 MiB"},
		"no gzip":          {[]*nats.Msg{page("web1", "a", 1, []byte("hello, world"), last...)}, "damaged"},
		"cut short":        {[]*nats.Msg{page("web1", "a", 1, two[:len(two)-5], last...)}, "damaged"},
		"a bomb":           {[]*nats.Msg{page("web1", "a", 1, bomb(t), last...)}, "it is longer than 64 MiB"},
		"a long error":     {[]*nats.Msg{page("web1", "a", 1, nil, "Nats-Service-Error-Code", "500", "Nats-Service-Error", strings.Repeat("x", 10_000))}, "x..."},
	} {
		t.Run(name, func(t *testing.T) {
			s := extratest.Serve(t, nil)
			conn := connect(t, s)
			sub, err := conn.Subscribe(Subject("web1", List), func(m *nats.Msg) {
				for _, p := range c.pages {
					_ = m.RespondMsg(p) // the asker may not listen any more
				}
			})
			check(t, err)
			check(t, conn.Flush())
			answer := ask(t, asker(connect(t, s), patience), List, Question{}, "web1")[0]
			err = answer.Err
			if err == nil {
				for _, e := range answer.Lines() {
					err = errors.Join(err, e)
				}
			}
			switch {
			case c.want == "":
				check(t, err)
				if got := text(t, &answer); got != "one\ntwo\n" || answer.Version != "9" {
					t.Errorf("%q, version %s", got, answer.Version)
				}
			case err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 2*maxNote:
				t.Errorf("%.100v, want %s", err, c.want)
			}
			check(t, sub.Unsubscribe())
		})
	}
}

// TestSilence: hosts without an agent are known at once, and those whose agent is silent, or
// ends half-way, when their time is over.
func TestSilence(t *testing.T) {
	conn := connect(t, extratest.Serve(t, nil))
	for verb, respond := range map[string]func(*nats.Msg){
		"silent": func(*nats.Msg) {},
		"half":   func(m *nats.Msg) { _ = m.RespondMsg(page("half", "a", 1, []byte("x"))) },
	} {
		_, err := conn.Subscribe(Subject(verb, List), respond)
		check(t, err)
	}
	start(t, conn, "web1", nil)
	answers := ask(t, asker(conn, time.Second), List, Question{}, "absent", "silent", "half", "web1", "a b")
	for i, want := range []string{"no agent answers for it", "no answer within 1s", "no answer within 1s; only a part of one came", "", "is no host name"} {
		if err := answers[i].Err; (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", answers[i].Host, err, want)
		}
	}
}

// permitted starts a server with the shipped configuration, in which the keys of users are
// replaced, and returns a function that connects as one of them.
func permitted(t *testing.T) func(user string, more ...nats.Option) *nats.Conn {
	t.Helper()
	conf, err := os.ReadFile("../../../docs/examples/nats/fleet.conf")
	check(t, err)
	seeds := make(map[string]nkeys.KeyPair)
	text := string(conf)
	for _, user := range []string{"UWEB1", "UWEB2", "UOPERATOR"} {
		seeds[user], err = nkeys.CreateUser()
		check(t, err)
		public, err := seeds[user].PublicKey()
		check(t, err)
		if strings.Count(text, user) != 1 {
			t.Fatalf("the configuration names %s %d times", user, strings.Count(text, user))
		}
		text = strings.Replace(text, user, public, 1)
	}
	path := filepath.Join(t.TempDir(), "fleet.conf")
	check(t, os.WriteFile(path, []byte(text), 0o600))
	o, err := server.ProcessConfigFile(path)
	check(t, err)
	s := extratest.Serve(t, o)
	return func(user string, more ...nats.Option) *nats.Conn {
		t.Helper()
		public, err := seeds[user].PublicKey()
		check(t, err)
		return connect(t, s, append(more, nats.Nkey(public, seeds[user].Sign))...)
	}
}

// TestPermissions: with the shipped configuration, agents and operators can do their work,
// and someone with a stolen key of an agent can neither ask nor answer for other hosts, nor
// hear what others ask and answer.
func TestPermissions(t *testing.T) {
	login := permitted(t)
	operator := login("UOPERATOR")
	start(t, login("UWEB2"), "web2.example.com", nil)
	denied := make(chan error, 100)
	thief := login("UWEB1", nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	refused := func(what string) {
		t.Helper()
		check(t, thief.Flush())
		select {
		case err := <-denied:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(patience):
			t.Errorf("%s is allowed", what)
		}
	}
	for _, subject := range []string{"gipc.web2%2Eexample%2Ecom.ls", "gipc.>", "gipc.*.ls", "_INBOX.>", ">"} {
		_, err := thief.Subscribe(subject, func(m *nats.Msg) { t.Errorf("heard: %s", m.Subject) })
		check(t, err)
		refused("listening to " + subject)
	}
	for _, subject := range []string{"gipc.web2%2Eexample%2Ecom.ls", "gipc.web1.ls", "$SRV.PING.gipcs-agent", "_INBOX.x"} {
		check(t, thief.PublishRequest(subject, "_INBOX.y", []byte(`{"protocol":1}`)))
		refused("publishing to " + subject)
	}
	// The thief answers for its own host as if it were another one.
	hear, err := thief.Subscribe("gipc.web1.>", func(m *nats.Msg) {
		_ = m.RespondMsg(page("web2.example.com", "a", 1, packed("lie\n"), headerStatus, "0"))
	})
	check(t, err)
	check(t, thief.Flush())
	answers := ask(t, asker(operator, patience), Limits, Question{}, "web1", "web2.example.com")
	if err := answers[0].Err; err == nil || !strings.Contains(err.Error(), `says that it comes from "web2.example.com"`) {
		t.Errorf("the liar: %v", err)
	}
	if !strings.Contains(text(t, &answers[1]), `"limit":"SHMMNI"`) {
		t.Error("the other host does not answer")
	}
	check(t, hear.Unsubscribe())
	check(t, thief.Flush())
	start(t, login("UWEB1"), "web1", nil)
	if all, err := Discover(t.Context(), operator, time.Second); err != nil || len(all.Hosts) != 2 {
		t.Errorf("%v, %v", all, err)
	}
	for _, answer := range ask(t, asker(operator, patience), List, Question{Columns: []string{"kind"}}, "web1", "web2.example.com") {
		check(t, answer.Err)
	}
}
