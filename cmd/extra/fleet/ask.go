package fleet

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// An Asker asks hosts.
type Asker struct {
	Conn     *nats.Conn
	Timeout  time.Duration // for one host, from its question on
	Parallel int           // hosts that answer at a time, at least 1
}

// An Answer is what a host answered.
type Answer struct {
	Host string
	// Version is that of the agent's program, and Protocol that of its protocol; "" and 0 if
	// nothing was heard of it.
	Version  string
	Protocol int
	// Status is the exit status of gipcs: 0, or 1 if it could not see everything.
	Status   int
	Messages []string
	// Err says why there is no complete answer. It is a *[Rejected] if the agent refuses the
	// question.
	Err error

	packed []byte
}

// A Rejected is the error of a host whose agent refuses the question.
type Rejected struct{ Message string }

func (r *Rejected) Error() string {
	return "its agent, perhaps an older one, rejects this: " + r.Message
}

// Lines yields the lines of the answer, without line ends, or an error as the last. A line
// is valid until the next one.
func (a *Answer) Lines() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		text := a.Text()
		lines := bufio.NewScanner(text)
		const first = 64 << 10
		lines.Buffer(make([]byte, 0, first), maxLine)
		for lines.Scan() {
			if !yield(lines.Bytes(), nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(nil, fmt.Errorf("its answer is damaged: %w", err))
		}
	}
}

// Text returns the whole answer, as a reader that ends with an error if the answer is
// damaged or too long.
func (a *Answer) Text() io.Reader {
	z, err := gzip.NewReader(bytes.NewReader(a.packed))
	if err != nil {
		return &bounded{r: failing{err}}
	}
	return &bounded{r: z, left: maxText}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// bounded is a reader that fails when there is more than maxText.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, fmt.Errorf("it is longer than %d MiB", maxText>>20)
	}
	return n, err
}

// maxHeld is how many bytes of answers wait for their turn, compressed, before further
// hosts are asked.
const maxHeld = 256 << 20

// Run asks hosts, at most Parallel at a time, and yields the answers in the order of hosts.
// When the loop or ctx ends, Run stops asking. Answers that wait for an earlier host, which
// may be slow, take at most 256 MiB and one answer, of at most 16 MiB, for each host that
// sends at the time.
func (a *Asker) Run(ctx context.Context, hosts []string, verb Verb, q Question) iter.Seq[Answer] {
	return func(yield func(Answer) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		answers := make([]chan Answer, len(hosts))
		for i := range answers {
			answers[i] = make(chan Answer, 1)
		}
		held := &budget{freed: make(chan struct{}, 1)}
		running.Go(func() { a.dispatch(ctx, hosts, verb, q, answers, held) })
		for i := range hosts {
			answer := <-answers[i]
			held.add(-len(answer.packed))
			if !yield(answer) {
				return
			}
		}
	}
}

// dispatch asks hosts, and gives each answer to its channel.
func (a *Asker) dispatch(ctx context.Context, hosts []string, verb Verb, q Question, answers []chan Answer, held *budget) {
	q.Protocol, q.Timeout = Protocol, a.Timeout.Milliseconds()
	question, err := json.Marshal(q)
	if err == nil && len(question) > maxQuestion {
		err = fmt.Errorf("the question is longer than %d KiB", maxQuestion>>10)
	}
	slots := make(chan struct{}, max(a.Parallel, 1))
	var running sync.WaitGroup
	defer running.Wait()
	for i, host := range hosts {
		if err == nil {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
			}
			err = held.wait(ctx)
		}
		if err != nil {
			answers[i] <- Answer{Host: host, Err: err}
			continue
		}
		running.Go(func() {
			answer := Answer{Host: host}
			answer.Err = a.ask(ctx, &answer, verb, question)
			held.add(len(answer.packed))
			answers[i] <- answer
			<-slots
		})
	}
}

// A budget counts the bytes of the answers that wait.
type budget struct {
	mu    sync.Mutex
	bytes int
	freed chan struct{}
}

func (b *budget) add(n int) {
	b.mu.Lock()
	b.bytes += n
	b.mu.Unlock()
	if n <= 0 {
		select {
		case b.freed <- struct{}{}:
		default:
		}
	}
}

// wait waits until there is room, or until ctx is done.
func (b *budget) wait(ctx context.Context) error {
	for {
		b.mu.Lock()
		room := b.bytes < maxHeld
		b.mu.Unlock()
		if err := context.Cause(ctx); room || err != nil {
			return err
		}
		select {
		case <-b.freed:
		case <-ctx.Done():
		}
	}
}

// ask asks one host, and waits until it has answered.
func (a *Asker) ask(ctx context.Context, answer *Answer, verb Verb, question []byte) error {
	ctx, stop := context.WithTimeoutCause(ctx, a.Timeout, fmt.Errorf("no answer within %v", a.Timeout))
	defer stop()
	if err := CheckHost(answer.Host); err != nil {
		return err
	}
	inbox := a.Conn.NewInbox()
	sub, err := a.Conn.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails if the connection is closed
	if err := sub.SetPendingLimits(maxPages, maxPacked); err != nil {
		return err
	}
	if err := a.Conn.PublishRequest(Subject(answer.Host, verb), inbox, question); err != nil {
		return err
	}
	r := reader{answer: answer}
	for !r.complete {
		msg, err := sub.NextMsgWithContext(ctx)
		switch {
		case context.Cause(ctx) != nil:
			return r.late(context.Cause(ctx))
		case errors.Is(err, nats.ErrNoResponders):
			return errors.New("no agent answers for it")
		case errors.Is(err, nats.ErrSlowConsumer):
			return errors.New("it sends more than an answer may have")
		case err != nil:
			return err
		}
		if err := r.add(msg); err != nil {
			answer.packed = nil
			return err
		}
	}
	return nil
}

// A reader puts the pages of an answer together.
type reader struct {
	answer   *Answer
	id       string
	pages    int
	complete bool
}

// late returns the error for an answer that did not come, or came in part.
func (r *reader) late(cause error) error {
	r.answer.packed = nil
	if r.pages == 0 || errors.Is(cause, context.Canceled) {
		return cause
	}
	return fmt.Errorf("%w; only a part of one came", cause)
}

// add adds a message to the answer. A page that came before is ignored.
func (r *reader) add(m *nats.Msg) error {
	if host := m.Header.Get(headerHost); host != r.answer.Host {
		return fmt.Errorf("the answer on its subject says that it comes from %.60q; it is not used, and whoever sent it has a login that may answer for this host", host)
	}
	r.answer.Version = cut(m.Header.Get(headerVersion), maxVersion)
	r.answer.Protocol, _ = strconv.Atoi(m.Header.Get(headerProtocol)) // 0 if it is none
	if code := m.Header.Get(micro.ErrorCodeHeader); code != "" {
		text := cut(m.Header.Get(micro.ErrorHeader), maxNote)
		if code == codeRejected {
			return &Rejected{text}
		}
		return errors.New(text)
	}
	id := m.Header.Get(headerAnswer)
	page, err := strconv.Atoi(m.Header.Get(headerPage))
	switch {
	case err != nil || id == "" || r.answer.Protocol < 1:
		return errors.New("its answer is none of the protocol")
	case r.id != "" && id != r.id:
		return errors.New("two agents answer for it; neither answer is used")
	case page <= r.pages:
		return nil
	case page != r.pages+1:
		return fmt.Errorf("page %d of its answer was lost", r.pages+1)
	case page > maxPages || len(r.answer.packed)+len(m.Data) > maxPacked:
		return fmt.Errorf("its answer is longer than %d MiB, compressed; select fewer objects with --where", maxPacked>>20)
	}
	r.id, r.pages = id, page
	r.answer.packed = append(r.answer.packed, m.Data...)
	return r.end(m.Header)
}

// end reads what the last page says besides.
func (r *reader) end(h nats.Header) error {
	text := h.Get(headerStatus)
	if text == "" {
		return nil
	}
	status, err := strconv.Atoi(text)
	if err != nil || status < 0 || status > 1 {
		return fmt.Errorf("its answer has the status %.20q, which is neither 0 nor 1", text)
	}
	r.answer.Status, r.complete = status, true
	for i, note := range h[headerNote] {
		if i == maxNotes {
			break
		}
		r.answer.Messages = append(r.answer.Messages, cut(note, maxNote))
	}
	return nil
}
