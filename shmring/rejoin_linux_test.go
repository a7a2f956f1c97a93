package shmring

import (
	"context"
	"testing"
)

// TestJoinWhileReceiving has the consumer release messages while a producer joins, after the
// producer has loaded head. In its first laps, the consumer also clears the state words of
// what it releases.
func TestJoinWhileReceiving(t *testing.T) {
	r := crashRing(t, One)
	p, err := r.JoinProducer()
	if err != nil {
		t.Fatal(err)
	}
	loaded := r.header.head.Load()
	for range 10 {
		if err := p.Send(context.Background(), []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := r.JoinConsumer()
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := receive(t, c); err != nil {
			t.Fatal(err)
		}
	}
	c.Release()
	if tail, err := r.findTail(loaded); err != nil || tail != loaded {
		t.Fatalf("from an old head, records seem to end at %d, %v: this test needs them to end at %d", tail, err, loaded)
	}
	head, tail, err := r.findEnd(loaded)
	if err != nil || head != loaded+4*unit || tail != loaded+10*unit {
		t.Errorf("findEnd = %d, %d, %v, want %d, %d", head, tail, err, loaded+4*unit, loaded+10*unit)
	}
}
