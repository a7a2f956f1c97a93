package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/shm"
	"github.com/sysvipc/gipc/shmring"
)

// Bounds of a ring's capacity: the smallest ring there is, and what leaves room for the
// rest of the object in an int.
const (
	MinCapacity = 4096
	MaxCapacity = 1 << (bits.UintSize*3/8 + 16) // 256 MiB on 32 bits, 1 TiB on 64
)

// Unfinished is the mode of a segment whose ring is not complete; see
// shmring.NamedOptions.
const Unfinished fs.FileMode = 0o601

// Options say where to meet, and how to make the ring if nobody has.
type Options struct {
	Ref  shm.Ref
	Ring shmring.NamedOptions // Capacity is for a new ring only
	// Create makes the object unless it exists.
	Create   bool
	Populate bool // make all pages present
	// Wait limits how long each wait for the other side takes: for the object and the ring,
	// and each call of Await.
	Wait time.Duration
}

// A Meeting is a ring in the memory of this process.
type Meeting struct {
	object  string // what messages call it
	ring    *shmring.Ring
	made    bool // by this process, which has not yet removed the object
	options *Options
}

// leastWait is how long Meet looks for the ring even if the options say not to wait.
const leastWait = 100 * time.Millisecond

// errLeft says that the processes in the ring have all died.
var errLeft = errors.New("ring was left by processes that have died")

// Meet finds or makes the ring, and waits for it if another process has to make it. The
// caller must join the ring through JoinProducer or JoinConsumer, and call Leave.
//
// Errors: *OwnerError; *ProducersError; that of ctx if it ends while Meet waits; others
// are sentences about the object.
func Meet(ctx context.Context, o Options) (*Meeting, error) {
	patient, cancel := context.WithTimeout(ctx, max(o.Wait, leastWait))
	defer cancel()
	ring, err := o.find(patient)
	switch {
	case ring != nil:
		m := &Meeting{object: o.object(), ring: ring, made: ring.Made(), options: &o}
		if err := ctx.Err(); err != nil {
			return nil, errors.Join(err, m.Leave())
		}
		return m, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, o.explain(err)
}

// find returns a ring for the exchange.
func (o *Options) find(ctx context.Context) (*shmring.Ring, error) {
	var left error
	for {
		ring, err := o.open(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.Join(err, left)
		}
		if err != nil {
			return nil, err
		}
		old, err := o.discard(ring)
		if !old && err == nil {
			return ring, nil
		}
		if err := errors.Join(err, ring.Close()); err != nil {
			return nil, err
		}
		if o.Create {
			continue
		}
		left = errLeft
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// open finds or makes a ring.
func (o *Options) open(ctx context.Context) (*shmring.Ring, error) {
	name := o.Ref.String()
	openOrCreate := func(r *shmring.NamedOptions) (*shmring.Ring, error) { return shmring.OpenOrCreate(ctx, name, r) }
	await := func(r *shmring.NamedOptions) (*shmring.Ring, error) { return shmring.Await(ctx, name, r) }
	if o.Ref.Kind() == ref.Shm {
		key, err := o.Ref.Key()
		if err != nil {
			return nil, err
		}
		openOrCreate = func(r *shmring.NamedOptions) (*shmring.Ring, error) { return shmring.OpenOrCreateKey(ctx, key, r) }
		await = func(r *shmring.NamedOptions) (*shmring.Ring, error) { return shmring.AwaitKey(ctx, key, r) }
	}
	if o.Create {
		ring, err := openOrCreate(&o.Ring)
		if !errors.Is(err, shmring.ErrMismatch) && !errors.Is(err, shmring.ErrNotRing) {
			return ring, err
		}
	}
	// Any capacity will do, and memory of zeros may get its ring yet.
	any := o.Ring
	any.Capacity = 0
	return await(&any)
}

// discard reports whether the ring is not one for a new exchange, and removes it if this
// side may make another one.
func (o *Options) discard(ring *shmring.Ring) (old bool, err error) {
	members := ring.Members()
	switch {
	case ring.Abandoned() && o.Create:
		return true, ring.Unlink()
	case ring.Abandoned():
		return true, nil
	case !o.Create || ring.Made() || members.Joined > 0 || members.Consumer:
		return false, nil
	}
	err = ring.Remove()
	if errors.Is(err, shmring.ErrBusy) { // its maker is about to join
		return false, nil
	}
	return err == nil, err
}

// Ring returns the ring. The caller must not use it after Leave.
func (m *Meeting) Ring() *shmring.Ring { return m.ring }

// JoinProducer joins the ring. If that fails after joining it leaves the role without
// closing it, so that the other side does not take it for the end of the data.
func (m *Meeting) JoinProducer() (*shmring.Producer, error) {
	p, err := m.ring.JoinProducer()
	if err == nil {
		err = m.populate()
	}
	return p, err
}

// JoinConsumer is like JoinProducer for the other role.
func (m *Meeting) JoinConsumer() (*shmring.Consumer, error) {
	c, err := m.ring.JoinConsumer()
	if err == nil {
		err = m.populate()
	}
	return c, err
}

// populate makes the pages present after this process has joined, because it can take
// longer than anybody waits for this side.
func (m *Meeting) populate() error {
	if !m.options.Populate {
		return nil
	}
	return m.ring.Prefault()
}

// Await waits until there returns true for the ring's members. Messages call the side
// that is waited for who.
func (m *Meeting) Await(ctx context.Context, who string, there func(shmring.Members) bool) error {
	over := time.Now().Add(m.options.Wait)
	for pause := time.Millisecond; !there(m.ring.Members()); pause = min(2*pause, 20*time.Millisecond) {
		left := time.Until(over)
		if left <= 0 {
			return fmt.Errorf("no %s came to %s (waited %v)", who, m.object, m.options.Wait)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(pause, left)):
		}
	}
	return nil
}

// Settle removes an object that this process made, once nobody else has to find it. From
// then on not even SIGKILL leaves it behind. Processes that have it attached keep it.
func (m *Meeting) Settle() error {
	if !m.made {
		return nil
	}
	m.made = false
	return m.ring.Unlink()
}

// Leave settles and releases the memory. A role that is still held stays so until the
// process ends: that tells the other side that something is missing. Leave does nothing
// for nil.
func (m *Meeting) Leave() error {
	if m == nil {
		return nil
	}
	settled := m.Settle()
	err := m.ring.Close()
	if errors.Is(err, unix.EBUSY) { // a role is still held
		err = nil
	}
	return errors.Join(settled, err)
}
