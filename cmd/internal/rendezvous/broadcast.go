package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/shmring"
)

// A Broadcast is a broadcast in the memory of this process.
type Broadcast struct {
	site
	broadcast *shmring.Broadcast
}

// FindBroadcast is Meet for the broadcast of gshm pub and gshm sub. The caller must join
// it through JoinWriter or Subscribe, and call Leave.
//
// With Create, Leave removes a broadcast that this process made. It also removes one that
// this process took over from a killed publisher because subscribers had kept it in use.
func FindBroadcast(ctx context.Context, o Options) (*Broadcast, error) {
	b, s, err := meet(ctx, &o, broadcasts())
	if err != nil {
		return nil, err
	}
	return &Broadcast{s, b}, nil
}

func broadcasts() kind[*shmring.Broadcast] {
	return kind[*shmring.Broadcast]{
		what: "broadcast", size: shmring.BroadcastSize, discard: (*Options).discardBroadcast,
		mismatch:     func(_ *Options, _ string, err error) error { return err },
		openOrCreate: shmring.OpenOrCreateBroadcast, openOrCreateKey: shmring.OpenOrCreateBroadcastKey,
		await: shmring.AwaitBroadcast, awaitKey: shmring.AwaitBroadcastKey,
	}
}

// discardBroadcast removes a broadcast that nobody has open if its publisher was killed,
// whether or not it had sent messages.
func (o *Options) discardBroadcast(b *shmring.Broadcast) (old bool, err error) {
	if !o.Create || b.Made() {
		return false, nil
	}
	n, err := b.Published()
	if err != nil || n > 0 && !b.Abandoned() {
		return false, err
	}
	err = b.Remove()
	if errors.Is(err, shmring.ErrBusy) { // it has subscribers, or its maker is about to join
		return false, nil
	}
	return err == nil, err
}

// JoinWriter becomes the publisher. If another process was faster, that process removes the
// object.
func (b *Broadcast) JoinWriter(o *shmring.WriterOptions) (*shmring.BroadcastWriter, error) {
	left := b.options.Create && b.broadcast.Abandoned()
	w, err := b.broadcast.JoinWriter(o)
	switch {
	case errors.Is(err, shmring.ErrBusy):
		b.mine = false
	case err == nil && left:
		b.mine = true
	}
	return w, b.joined(err, "a publisher")
}

// Subscribe becomes a subscriber.
func (b *Broadcast) Subscribe(p shmring.Policy, o *shmring.SubscribeOptions) (*shmring.Subscription, error) {
	s, err := b.broadcast.Subscribe(p, o)
	return s, b.joined(err, "64 subscribers")
}

// AwaitReaders waits until n processes have subscribed.
func (b *Broadcast) AwaitReaders(ctx context.Context, n int) error {
	alive := 0
	err := b.await(ctx, "subscriber", func() (bool, error) {
		readers, err := b.broadcast.Subscribers()
		readers = slices.DeleteFunc(readers, func(r shmring.Subscriber) bool { return !r.Alive })
		alive = len(readers)
		return alive >= n, err
	})
	if errors.Is(err, errNobody) && alive > 0 {
		err = explain.As(err, fmt.Sprintf("only %d of %d subscribers came to %s (waited %v)", alive, n, b.object, b.options.Wait))
	}
	return err
}

// AwaitWriter waits for a publisher. If the publisher has sent a message already,
// AwaitWriter returns the first one, which is valid for as long as one that Receive
// returned. If the publisher came and went, the error is that of Receive.
func (b *Broadcast) AwaitWriter(ctx context.Context, s *shmring.Subscription) (first []byte, ok bool, err error) {
	err = b.await(ctx, "publisher", func() (bool, error) {
		alive, err := b.broadcast.Writer()
		if alive || err != nil {
			return alive, err
		}
		first, ok, err = s.TryReceive()
		return ok, err
	})
	if errors.Is(err, errNobody) && b.broadcast.Abandoned() {
		err = explain.As(err, fmt.Sprintf("the broadcast in %s was left by a publisher that has died; gshm rm %v removes it (waited %v for another)",
			b.object, b.options.Ref, b.options.Wait))
	}
	return first, ok, err
}

// MaxMessage returns the length of the longest message.
func (b *Broadcast) MaxMessage() int { return b.broadcast.MaxMessage() }
