package sysv_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sysvipc/gipc/sysv"
)

func TestSmoke(t *testing.T) {
	seg, err := sysv.CreateSegment(1234, 5000, sysv.SegmentOptions{Mode: 0o600, Exclusive: true})
	if err != nil { t.Fatal(err) }
	mem, err := seg.Attach(sysv.AttachOptions{})
	if err != nil { t.Fatal(err) }
	if _, err := mem.WriteAt([]byte("hi"), 4998); err != nil { t.Fatal(err) }
	if _, err := mem.WriteAt([]byte("hi"), 4999); !errors.Is(err, sysv.ErrBounds) { t.Fatal(err) }
	if err := mem.Prefault(); err != nil { t.Fatal(err) }
	i, err := seg.Stat()
	t.Logf("%+v %v", i, err)
	for i, err := range sysv.Segments() { t.Logf("%+v %v", i, err) }
	mem.Detach()
	if _, err := mem.WriteAt([]byte("hi"), 0); !errors.Is(err, sysv.ErrDetached) { t.Fatal(err) }
	seg.Remove()
	_, err = seg.Stat()
	t.Log(err)

	set, err := sysv.OpenOrCreateSet(55, []uint16{1, 0, 7}, sysv.SetOptions{Mode: 0o600})
	if err != nil { t.Fatal(err) }
	set2, err := sysv.OpenOrCreateSet(55, []uint16{1, 0, 7}, sysv.SetOptions{Mode: 0o600})
	t.Log(set, set2, err)
	v, err := set.Values()
	t.Log(v, err)
	if err := set.SetValue(1, 9); err != nil { t.Fatal(err) }
	v, err = set.Values()
	t.Log(v, err)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	err = set.Do(ctx, sysv.Op{Num: 0, Add: -3})
	t.Log(time.Since(start), err, errors.Is(err, context.DeadlineExceeded))
	err = set.DoTimeout(20*time.Millisecond, sysv.Op{Num: 0, Add: -3})
	t.Log(err)
	si, err := set.Stat()
	t.Logf("%+v %v", si, err)
	set.Remove()

	q, err := sysv.CreateQueue(55, sysv.QueueOptions{Mode: 0o600})
	if err != nil { t.Fatal(err) }
	q.Send(ctx, 3, []byte("hello"))
	q.Send(ctx, 2, []byte("world"))
	buf := make([]byte, 100)
	n, ty, ok, err := q.Peek(1, buf, false)
	t.Log(n, ty, ok, err, string(buf[:n]))
	n, ty, err = q.Receive(ctx, buf, sysv.ReceiveOptions{Type: -9})
	t.Log(n, ty, err, string(buf[:n]))
	n, ty, err = q.Receive(ctx, buf, sysv.ReceiveOptions{Type: -2})
	t.Log(n, ty, err)
	qi, err := q.Stat()
	t.Logf("%+v %v", qi, err)
	q.Remove()
}
