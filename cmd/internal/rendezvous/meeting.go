package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/shm"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// Options say where to meet, and how to make the ring if nobody has.
type Options struct {
	Ref    shm.Ref
	Owners []uint32        // users, besides the caller and root, whose object may be used
	Ring   shmring.Options // Capacity is for a new ring
	Create bool            // make the object unless it exists
	// Mode and HugePages are those of a new object. Mode must not be Unfinished.
	Mode      fs.FileMode
	HugePages int64 // as in sysv.SegmentOptions
	Populate  bool  // make all pages present
	// Wait limits how long each wait for the other side takes: for the object and the ring,
	// and each call of Await.
	Wait time.Duration
}

// A Meeting is a ring in the memory of this process.
type Meeting struct {
	object  shm.Object
	mem     shm.Mapping
	ring    *shmring.Ring
	made    bool // by this process, which has not yet removed the object
	options *Options
}

// Meet finds or makes the ring, and waits for it if another process has to make it. The
// caller must join the ring through JoinProducer or JoinConsumer, and call Leave.
//
// Errors: *OwnerError; *ProducersError; that of ctx if it ends while Meet waits; others
// are sentences about the object.
func Meet(ctx context.Context, o Options) (m *Meeting, err error) {
	waited := await(ctx, o.Wait, func() bool {
		m, err = o.look(ctx)
		return !errors.As(err, &notYet{})
	})
	if errors.Is(waited, errWaited) {
		return nil, fmt.Errorf("%s (waited %v for it)", explain.Error(err), o.Wait)
	}
	if waited != nil {
		return nil, errors.Join(waited, m.Leave())
	}
	return m, err
}

// A notYet is a reason to look again later.
type notYet struct{ error }

func (e notYet) Unwrap() error { return e.error }

// errWaited means that the time to wait is over.
var errWaited = errors.New("waited in vain")

// await calls condition, less and less often, until it returns true, for at most wait.
func await(ctx context.Context, wait time.Duration, condition func() bool) error {
	over := time.Now().Add(wait)
	for pause := time.Millisecond; !condition(); pause = min(2*pause, 20*time.Millisecond) {
		left := time.Until(over)
		if left <= 0 {
			return errWaited
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(pause, left)):
		}
	}
	return nil
}

// Ring returns the ring. The caller must not use it after Leave.
func (m *Meeting) Ring() *shmring.Ring { return m.ring }

// JoinProducer joins the ring and lets others use the object. If that fails after joining
// it leaves the role without closing it, so that the other side does not take it for the
// end of the data.
func (m *Meeting) JoinProducer() (*shmring.Producer, error) {
	p, err := m.ring.JoinProducer()
	if err == nil {
		err = m.publish()
	}
	return p, err
}

// JoinConsumer is like JoinProducer for the other role.
func (m *Meeting) JoinConsumer() (*shmring.Consumer, error) {
	c, err := m.ring.JoinConsumer()
	if err == nil {
		err = m.publish()
	}
	return c, err
}

// publish lets others use an object that this process made, after it has joined the ring.
// Only then are the pages made present, which can take longer than anybody waits for this
// side.
func (m *Meeting) publish() error {
	if m.made {
		if err := m.object.Set(func(o *sysv.Ownership) { o.Mode = m.options.Mode }); err != nil {
			return err
		}
	}
	if m.options.Populate {
		return m.mem.Prefault()
	}
	return nil
}

// Await waits until there returns true for the ring's members. Messages call the side
// that is waited for who.
func (m *Meeting) Await(ctx context.Context, who string, there func(shmring.Members) bool) error {
	err := await(ctx, m.options.Wait, func() bool { return there(m.ring.Members()) })
	if errors.Is(err, errWaited) {
		return fmt.Errorf("no %s came to %v (waited %v)", who, m.object, m.options.Wait)
	}
	return err
}

// Settle removes an object that this process made, once nobody else has to find it. From
// then on not even SIGKILL leaves it behind. Processes that have it attached keep it.
func (m *Meeting) Settle() error {
	if !m.made {
		return nil
	}
	m.made = false
	return m.mem.Discard()
}

// Leave settles and releases the memory. It does nothing for nil.
func (m *Meeting) Leave() error {
	if m == nil {
		return nil
	}
	return errors.Join(m.Settle(), m.mem.Detach())
}
