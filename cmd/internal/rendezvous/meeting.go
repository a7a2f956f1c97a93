package rendezvous

import (
	"context"
	"errors"
	"io/fs"
	"math/bits"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/shm"
	"github.com/sysvipc/gipc/shmring"
)

// Bounds of a ring's capacity: the smallest that shmring allows, and one that leaves room
// in an int for the rest of the object.
const (
	MinCapacity = 4096
	MaxCapacity = 1 << (bits.UintSize*3/8 + 16) // 256 MiB on 32 bits, 1 TiB on 64
)

// Unfinished is the mode of a segment whose ring is not complete; see
// shmring.NamedOptions.
const Unfinished fs.FileMode = 0o601

// Options specify where to meet, and how to make the ring if there is none.
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
	site
	ring *shmring.Ring
}

// Meet finds or makes the ring, and waits for it if another process has to make it. The
// caller must join the ring through JoinProducer or JoinConsumer, and call Leave.
//
// Errors: *OwnerError; *ProducersError; the error of ctx if it ends while Meet waits. All
// other errors are sentences about the object.
func Meet(ctx context.Context, o Options) (*Meeting, error) {
	ring, s, err := meet(ctx, &o, rings())
	if err != nil {
		return nil, err
	}
	return &Meeting{s, ring}, nil
}

func rings() kind[*shmring.Ring] {
	return kind[*shmring.Ring]{
		what: "ring", size: shmring.Size, discard: (*Options).discard, mismatch: (*Options).producers,
		openOrCreate: shmring.OpenOrCreate, openOrCreateKey: shmring.OpenOrCreateKey,
		await: shmring.Await, awaitKey: shmring.AwaitKey,
	}
}

// discard reports whether the ring is unfit for a new exchange. It then removes the ring if
// this side may make a new one.
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

// JoinProducer joins the ring. If it fails after joining, it does not close the role: the
// other side would take that for the end of the data.
func (m *Meeting) JoinProducer() (*shmring.Producer, error) {
	senders := "a sender"
	if m.ring.Producers() == shmring.Many {
		senders = "64 senders"
	}
	p, err := m.ring.JoinProducer()
	return p, m.joined(err, senders)
}

// JoinConsumer is like JoinProducer for the other role.
func (m *Meeting) JoinConsumer() (*shmring.Consumer, error) {
	c, err := m.ring.JoinConsumer()
	return c, m.joined(err, "a receiver")
}

// Await waits until there returns true for the ring's members. Messages name the awaited
// side by who.
func (m *Meeting) Await(ctx context.Context, who string, there func(shmring.Members) bool) error {
	return m.await(ctx, who, func() (bool, error) { return there(m.ring.Members()), nil })
}
