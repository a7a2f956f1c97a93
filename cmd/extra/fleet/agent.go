//go:build linux

package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/explain"
)

// How many questions an agent answers at a time, and how many more wait.
const (
	maxRunning = 2
	maxWaiting = 30
)

// An Agent answers for a host.
type Agent struct {
	Host string
	Log  *slog.Logger

	// version and protocol are what it says it is; tests change them.
	version  string
	protocol int
	// answer writes an answer; tests replace it.
	answer func(Verb, *Question, io.Writer) (report, error)

	running chan struct{} // a slot for each answer under way
	waiting chan struct{} // a slot for each question
	all     sync.WaitGroup
}

// NewAgent returns the agent of a host.
func NewAgent(host string, log *slog.Logger) (*Agent, error) {
	if err := CheckHost(host); err != nil {
		return nil, err
	}
	return &Agent{
		Host: host, Log: log, version: command.Version, protocol: Protocol, answer: answer,
		running: make(chan struct{}, maxRunning), waiting: make(chan struct{}, maxRunning+maxWaiting),
	}, nil
}

// Serve answers questions until ctx is done. It then ends the answers under way. It keeps
// conn open.
func (a *Agent) Serve(ctx context.Context, conn *nats.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	service, err := micro.AddService(conn, micro.Config{
		Name: Service, Version: fmt.Sprintf("%d.0.0", a.protocol), Description: "IPC objects of a host, to read",
		Metadata: map[string]string{"host": a.Host, "version": a.version},
		// With a queue group, one of two agents with the same name would answer, and nobody would
		// notice the other.
		QueueGroupDisabled: true,
	})
	if err != nil {
		return err
	}
	for _, verb := range Verbs() {
		handle := func(r micro.Request) { a.accept(ctx, conn, verb, r) }
		if err := service.AddEndpoint(string(verb), micro.HandlerFunc(handle), micro.WithEndpointSubject(Subject(a.Host, verb))); err != nil {
			return errors.Join(err, service.Stop())
		}
	}
	a.Log.Info("answering", "host", a.Host, "subject", Subject(a.Host, "*"))
	closed := conn.StatusChanged(nats.CLOSED)
	defer conn.RemoveStatusListener(closed)
	select {
	case <-closed: // such as when the server rejects the login
		err = fmt.Errorf("NATS: the connection is closed: %w", cmp.Or(conn.LastError(), nats.ErrConnectionClosed))
	case <-ctx.Done():
		err = service.Stop()
	}
	cancel()
	a.all.Wait()
	if conn.IsConnected() {
		err = errors.Join(err, conn.Flush())
	}
	return err
}

// accept answers a question in a goroutine of its own, unless too many wait.
func (a *Agent) accept(ctx context.Context, conn *nats.Conn, verb Verb, r micro.Request) {
	if r.Reply() == "" {
		return // nobody would hear the answer
	}
	p := newPages(conn, a, r)
	select {
	case a.waiting <- struct{}{}:
	default:
		p.fail(codeBusy, fmt.Errorf("it is busy: %d questions are waiting", maxWaiting))
		return
	}
	a.all.Go(func() {
		defer func() { <-a.waiting }()
		a.reply(ctx, verb, r.Data(), p)
	})
}

// reply answers a question when its turn comes, unless the asker has stopped waiting.
func (a *Agent) reply(ctx context.Context, verb Verb, data []byte, p *pages) {
	q, err := readQuestion(data)
	if err != nil {
		p.fail(codeRejected, err)
		return
	}
	timer := time.NewTimer(q.timeout())
	defer timer.Stop()
	select {
	case a.running <- struct{}{}:
		defer func() { <-a.running }()
	case <-timer.C:
		return
	case <-ctx.Done():
		p.fail(codeFailed, errors.New("its agent is stopping"))
		return
	}
	p.ctx = ctx
	said, err := a.answer(verb, q, p)
	switch wrong := (rejected{}); {
	case errors.As(err, &wrong):
		p.fail(codeRejected, err)
	case err == nil:
		err = p.end(said)
	}
	switch {
	case err == nil, errors.As(err, new(rejected)):
	case errors.Is(err, context.Canceled):
		p.fail(codeFailed, errors.New("its agent is stopping"))
	default:
		p.fail(codeFailed, err)
	}
}

func readQuestion(data []byte) (*Question, error) {
	if len(data) > maxQuestion {
		return nil, fmt.Errorf("the question is longer than %d bytes", maxQuestion)
	}
	q := &Question{}
	if err := json.Unmarshal(data, q); err != nil {
		return nil, errors.New("the question is no JSON object of the protocol")
	}
	switch {
	case q.Protocol > Protocol:
		return nil, fmt.Errorf("it is asked in protocol %d, and speaks up to %d", q.Protocol, Protocol)
	case q.Protocol < 1:
		return nil, errors.New("the question names no protocol")
	}
	return q, q.Check()
}

// A report is what an answer says besides its lines.
type report struct {
	status int
	notes  []string
}

func (r *report) note(err error) { r.notes = append(r.notes, explain.Error(err)) }

// rejected is the error for a question that the asker must change.
type rejected struct{ error }

func (r rejected) Unwrap() error { return r.error }

// header returns the headers that all messages of an agent have.
func (a *Agent) header() nats.Header {
	return nats.Header{
		headerHost: {a.Host}, headerVersion: {a.version}, headerProtocol: {strconv.Itoa(a.protocol)},
	}
}
