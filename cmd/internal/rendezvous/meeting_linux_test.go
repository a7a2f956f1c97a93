package rendezvous_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/rendezvous"
	"github.com/sysvipc/gipc/cmd/internal/shm"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{"make": playMake})
	ipctest.MainPOSIX(m)
}

// playMake makes a ring, joins it, and waits to be killed.
func playMake(args []string) error {
	r, err := shm.Parse(args[0])
	if err != nil {
		return err
	}
	m, err := rendezvous.Meet(context.Background(), options(r, true))
	if err != nil {
		return err
	}
	if _, err := m.JoinProducer(); err != nil {
		return err
	}
	fmt.Println("made")
	ipctest.Told()
	return m.Leave()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eachRef runs a test with a segment's key and with the name of a POSIX object. At the end
// it checks that no object is left.
func eachRef(t *testing.T, test func(*testing.T, shm.Ref)) {
	for _, text := range []string{"key:7", "/meeting"} {
		t.Run(text, func(t *testing.T) {
			r, err := shm.Parse(text)
			check(t, err)
			t.Cleanup(func() {
				if o, err := r.Find(); err == nil { // the test has failed; clean up for the next one
					_ = o.Remove()
				}
			})
			test(t, r)
			wantNothing(t, r)
		})
	}
}

func wantNothing(t *testing.T, r shm.Ref) {
	t.Helper()
	if o, err := r.Find(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Find(%v) = %v, %v, want nothing", r, o, err)
	}
}

// A doneOnceMade is a context that is done as soon as the object exists, as if the user
// interrupted just then.
type doneOnceMade struct {
	context.Context
	ref shm.Ref
}

func (d doneOnceMade) Err() error {
	if _, err := d.ref.Find(); err == nil {
		return context.Canceled
	}
	return nil
}

// TestInterrupted interrupts Meet when it has just made the ring, and checks that nothing
// is left.
func TestInterrupted(t *testing.T) {
	eachRef(t, func(t *testing.T, r shm.Ref) {
		m, err := rendezvous.Meet(doneOnceMade{t.Context(), r}, options(r, true))
		if m != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("Meet = %v, %v, want context.Canceled", m, err)
		}
	})
}

func options(r shm.Ref, create bool) rendezvous.Options {
	o := rendezvous.Options{Ref: r, Create: create, Wait: 10 * time.Second, Ring: shmring.NamedOptions{Producers: shmring.One}}
	if create {
		o.Ring.Capacity, o.Ring.Mode = rendezvous.MinCapacity, 0o600
	}
	return o
}

func meet(t *testing.T, o rendezvous.Options) *rendezvous.Meeting {
	t.Helper()
	m, err := rendezvous.Meet(t.Context(), o)
	check(t, err)
	return m
}

// join takes the producer's role, and returns a function that ends the meeting.
func join(t *testing.T, m *rendezvous.Meeting) (leave func()) {
	t.Helper()
	p, err := m.JoinProducer()
	check(t, err)
	return func() { check(t, errors.Join(p.Close(), m.Leave())) }
}

func create(t *testing.T, r shm.Ref, size int64, mode fs.FileMode) shm.Object {
	t.Helper()
	o, _, err := r.Create(t.Context(), shm.CreateOptions{Size: size, Mode: mode, Exclusive: true})
	check(t, err)
	return o
}

// wantRefused fails unless Meet returns an error that begins and ends like want, which
// has a * in between.
func wantRefused(t *testing.T, o rendezvous.Options, want string) error {
	t.Helper()
	m, err := rendezvous.Meet(t.Context(), o)
	if err == nil {
		check(t, m.Leave())
	}
	begin, end, _ := strings.Cut(want, "*")
	if err == nil || !strings.HasPrefix(err.Error(), begin) || !strings.HasSuffix(err.Error(), end) {
		t.Errorf("Meet: %v, want %s", err, want)
	}
	return err
}

// TestMeet lets either or both sides make the ring, and passes a message. It checks that
// the object is gone as soon as both sides are there.
func TestMeet(t *testing.T) {
	for name, makers := range map[string][2]bool{"producer": {true, false}, "consumer": {false, true}, "both": {true, true}} {
		t.Run(name, func(t *testing.T) {
			eachRef(t, func(t *testing.T, r shm.Ref) {
				sent := make(chan error, 1)
				go func() { sent <- sendOne(t.Context(), options(r, makers[0])) }()
				m := meet(t, options(r, makers[1]))
				c, err := m.JoinConsumer()
				check(t, err)
				check(t, m.Await(t.Context(), "producer", func(m shmring.Members) bool { return m.Joined > 0 }))
				check(t, m.Settle())
				if got, err := c.Receive(t.Context()); string(got) != "text" || err != nil {
					t.Errorf("Receive = %q, %v", got, err)
				}
				wantNothing(t, r)
				check(t, c.Close())
				check(t, m.Leave())
				check(t, <-sent)
			})
		})
	}
}

func sendOne(ctx context.Context, o rendezvous.Options) error {
	m, err := rendezvous.Meet(ctx, o)
	if err != nil {
		return err
	}
	p, err := m.JoinProducer()
	if err != nil {
		return errors.Join(err, m.Leave())
	}
	err = m.Await(ctx, "consumer", func(m shmring.Members) bool { return m.Consumer })
	if err == nil {
		err = m.Settle()
	}
	if err == nil {
		err = p.Send(ctx, []byte("text"))
	}
	if err == nil {
		err = p.Flush(ctx)
	}
	return errors.Join(err, p.Close(), m.Leave())
}

// TestMakerKilled checks that a side with Create replaces the ring of a killed maker, and
// that a side without Create refuses it.
func TestMakerKilled(t *testing.T) {
	eachRef(t, func(t *testing.T, r shm.Ref) {
		p := ipctest.Start(t, "make", nil, r.String())
		p.Line()
		old, err := r.Find()
		check(t, err)
		mem, err := old.Attach(shm.AttachOptions{})
		check(t, err)
		ring, err := shmring.Open(mem.Bytes())
		check(t, err)
		p.Kill()
		o := options(r, false)
		o.Wait = time.Millisecond
		wantRefused(t, o, "the ring in "+old.String()+" was left by processes that have died*(waited 1ms for it)")
		m := meet(t, options(r, true))
		if m.Ring().ID() == ring.ID() {
			t.Error("the new ring is the old one")
		}
		join(t, m)()
		check(t, mem.Detach())
	})
}

// TestMakerKilledEarly checks that Meet replaces a ring whose maker died before joining it,
// and that Leave then removes the new one. Meet uses a ring that a process has open.
func TestMakerKilledEarly(t *testing.T) {
	eachRef(t, func(t *testing.T, r shm.Ref) {
		first := meet(t, options(r, true))
		second := meet(t, options(r, true))
		if first.Ring().ID() != second.Ring().ID() {
			t.Error("a ring whose maker lives was made again")
		}
		check(t, second.Leave())
		object, err := r.Find()
		check(t, err)
		left := first.Ring().ID()
		check(t, first.Ring().Close()) // as SIGKILL would
		third := meet(t, options(r, true))
		if third.Ring().ID() == left {
			t.Error("the ring of a dead maker was not made again")
		}
		if now, err := r.Find(); now == object && r.Kind() == ref.Shm || err != nil {
			t.Errorf("Find = %v, %v, want another object", now, err)
		}
		check(t, third.Leave())
	})
}

// TestUnfinished checks that a side without Create refuses an unfinished segment, and that
// a side with Create replaces it.
func TestUnfinished(t *testing.T) {
	r, err := shm.Parse("key:7")
	check(t, err)
	create(t, r, int64(shmring.Size(rendezvous.MinCapacity)), rendezvous.Unfinished)
	o := options(r, false)
	o.Wait = time.Millisecond
	wantRefused(t, o, "somebody has begun to make a ring in * removes it (waited 1ms for it)")
	check(t, meet(t, options(r, true)).Leave())
	wantNothing(t, r)
}

// TestOthersObjects checks that Meet leaves an object unchanged that holds something else,
// and waits for a ring in an object of zeros.
func TestOthersObjects(t *testing.T) {
	eachRef(t, func(t *testing.T, r shm.Ref) {
		o := options(r, true)
		o.Wait = time.Millisecond
		object := create(t, r, int64(shmring.Size(rendezvous.MinCapacity)), 0o600)
		wantRefused(t, o, object.String()+" holds no ring* (waited 1ms for it)")
		mem, err := object.Attach(shm.AttachOptions{})
		check(t, err)
		_, err = mem.WriteAt([]byte("text"), 0)
		check(t, err)
		wantRefused(t, o, object.String()+" holds no ring, but something else; it is left as it is*")
		got := make([]byte, 5)
		if _, err := mem.ReadAt(got, 0); string(got) != "text\x00" || err != nil {
			t.Errorf("the object holds %q, %v", got, err)
		}
		check(t, errors.Join(mem.Detach(), object.Remove()))
	})
}

// TestOwner checks that Meet refuses the object of another user who is not in Owners.
func TestOwner(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	eachRef(t, func(t *testing.T, r shm.Ref) {
		m := meet(t, options(r, true))
		leave := join(t, m)
		object, err := r.Find()
		check(t, err)
		other := uint32(ipctest.User(0))
		check(t, object.Set(func(o *sysv.Ownership) { o.UID = other }))
		o := options(r, false)
		err = wantRefused(t, o, fmt.Sprintf("%v belongs to user %d, and not to you or root*", object, other))
		if e := (*rendezvous.OwnerError)(nil); !errors.As(err, &e) || e.UID != other || e.Object != object.String() {
			t.Errorf("the error is %#v", err)
		}
		o.Ring.Owners = []int{int(other)}
		check(t, meet(t, o).Leave())
		leave()
	})
}

// TestProducers checks that Meet refuses a ring for another number of producers.
func TestProducers(t *testing.T) {
	eachRef(t, func(t *testing.T, r shm.Ref) {
		m := meet(t, options(r, true))
		leave := join(t, m)
		o := options(r, false)
		o.Ring.Producers = shmring.Many
		err := wantRefused(t, o, "the ring in * is for one producer")
		if e := (*rendezvous.ProducersError)(nil); !errors.As(err, &e) || e.Producers != shmring.One {
			t.Errorf("the error is %#v", err)
		}
		leave()
	})
}

// TestWaits checks that waits end with Options.Wait or with the context.
func TestWaits(t *testing.T) {
	eachRef(t, func(t *testing.T, r shm.Ref) {
		o := options(r, true)
		o.Wait = time.Millisecond
		m := meet(t, o)
		never := func(shmring.Members) bool { return false }
		err := m.Await(t.Context(), "receiver", never)
		if err == nil || !strings.HasPrefix(err.Error(), "no receiver came to ") {
			t.Errorf("Await: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		o.Wait = time.Hour
		if _, err := rendezvous.Meet(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("Meet: %v", err)
		}
		check(t, m.Leave())
		wantNothing(t, r)
		o.Create = false
		if _, err := rendezvous.Meet(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("Meet: %v", err)
		}
	})
}

// TestIdentifier checks that Meet does not wait for an identifier to appear, because the
// kernel chooses identifiers.
func TestIdentifier(t *testing.T) {
	r, err := shm.Parse("77777")
	check(t, err)
	o := options(r, false)
	o.Wait = time.Second
	if _, err := rendezvous.Meet(t.Context(), o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Meet: %v, want fs.ErrNotExist at once", err)
	}
	// An existing segment is found by its identifier, too.
	keyed, err := shm.Parse("key:7")
	check(t, err)
	maker := meet(t, options(keyed, true))
	object, err := keyed.Find()
	check(t, err)
	r, err = shm.Parse(object.Ref())
	check(t, err)
	m := meet(t, options(r, false))
	if m.Ring().ID() != maker.Ring().ID() {
		t.Error("the identifier leads to another ring than the key")
	}
	check(t, errors.Join(m.Leave(), maker.Leave()))
}
