package rendezvous_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

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

// eachRef runs a test with a segment's key and with the name of a POSIX object. Neither
// may name anything in the end.
func eachRef(t *testing.T, test func(*testing.T, shm.Ref)) {
	for _, text := range []string{"key:7", "/meeting"} {
		t.Run(text, func(t *testing.T) {
			r, err := shm.Parse(text)
			check(t, err)
			t.Cleanup(func() {
				if o, err := r.Find(); err == nil { // the test has failed; the next one begins with nothing
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

func options(r shm.Ref, create bool) rendezvous.Options {
	o := rendezvous.Options{Ref: r, Create: create, Wait: 10 * time.Second, Ring: shmring.Options{Producers: shmring.One}}
	if create {
		o.Ring.Capacity, o.Mode = rendezvous.MinCapacity, 0o600
	}
	return o
}

func meet(t *testing.T, o rendezvous.Options) *rendezvous.Meeting {
	t.Helper()
	m, err := rendezvous.Meet(t.Context(), o)
	check(t, err)
	return m
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

// TestMeet lets either or both sides make the ring, and passes a message. The object is
// gone as soon as both are there.
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
	if err == nil {
		err = m.Await(ctx, "consumer", func(m shmring.Members) bool { return m.Consumer })
	}
	if err == nil {
		err = m.Settle()
	}
	if err == nil {
		err = p.Send(ctx, []byte("text"))
	}
	if err == nil {
		err = p.Flush(ctx)
	}
	return errors.Join(err, m.Leave())
}

// TestMode: nobody else can use a ring before its maker has joined it.
func TestMode(t *testing.T) {
	eachRef(t, func(t *testing.T, r shm.Ref) {
		o := options(r, true)
		o.Mode = 0o640
		m := meet(t, o)
		wantMode(t, r, rendezvous.Unfinished)
		o.Wait = time.Millisecond
		wantRefused(t, o, "somebody has begun to make a ring in * removes it (waited 1ms for it)")
		_, err := m.JoinProducer()
		check(t, err)
		wantMode(t, r, 0o640)
		check(t, m.Leave())
	})
}

func wantMode(t *testing.T, r shm.Ref, mode fs.FileMode) {
	t.Helper()
	o, err := r.Find()
	check(t, err)
	if s, err := o.State(); s.Mode != mode || err != nil {
		t.Errorf("the mode of %v is %04o, %v, want %04o", o, s.Mode, err, mode)
	}
}

// TestMakerKilled: a maker makes the ring of a killed one again, others do not.
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
		_, err = m.JoinProducer()
		check(t, err)
		check(t, errors.Join(m.Leave(), mem.Detach()))
	})
}

// TestMakerKilledEarly: after three seconds a maker takes an object without a ring for
// one whose maker is dead.
func TestMakerKilledEarly(t *testing.T) {
	if testing.Short() {
		t.Skip("the protocol waits for seconds")
	}
	eachRef(t, func(t *testing.T, r shm.Ref) {
		create(t, r, int64(shmring.Size(rendezvous.MinCapacity)), rendezvous.Unfinished)
		began := time.Now()
		m := meet(t, options(r, true))
		// A segment's time is cut to a second.
		if took := time.Since(began); took < 1900*time.Millisecond {
			t.Errorf("the object was taken for dead after %v", took)
		}
		_, err := m.JoinProducer()
		check(t, err)
		check(t, m.Leave())
	})
}

// TestOthersObjects: an object that holds something else stays as it is; one that may
// still get a ring is waited for.
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

// TestOwner refuses the object of another user, unless it is in Owners.
func TestOwner(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	eachRef(t, func(t *testing.T, r shm.Ref) {
		m := meet(t, options(r, true))
		_, err := m.JoinProducer()
		check(t, err)
		object, err := r.Find()
		check(t, err)
		other := uint32(ipctest.User(0))
		check(t, object.Set(func(o *sysv.Ownership) { o.UID = other }))
		o := options(r, false)
		err = wantRefused(t, o, fmt.Sprintf("%v belongs to user %d, and not to you or root*", object, other))
		if e := (*rendezvous.OwnerError)(nil); !errors.As(err, &e) || e.UID != other || e.Object != object {
			t.Errorf("the error is %#v", err)
		}
		o.Owners = []uint32{other}
		check(t, meet(t, o).Leave())
		check(t, m.Leave())
	})
}

// TestProducers refuses a ring of the other kind.
func TestProducers(t *testing.T) {
	eachRef(t, func(t *testing.T, r shm.Ref) {
		m := meet(t, options(r, true))
		_, err := m.JoinProducer()
		check(t, err)
		o := options(r, false)
		o.Ring.Producers = shmring.Many
		err = wantRefused(t, o, "the ring in * is for one producer")
		if e := (*rendezvous.ProducersError)(nil); !errors.As(err, &e) || e.Producers != shmring.One {
			t.Errorf("the error is %#v", err)
		}
		check(t, m.Leave())
	})
}

// TestWaits end with the time or with the context.
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

// TestIdentifier: the kernel chooses identifiers, so nobody waits for one to appear.
func TestIdentifier(t *testing.T) {
	r, err := shm.Parse("77777")
	check(t, err)
	o := options(r, false)
	o.Wait = time.Second
	if _, err := rendezvous.Meet(t.Context(), o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Meet: %v, want fs.ErrNotExist at once", err)
	}
}
