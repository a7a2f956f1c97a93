package shmring_test

import (
	"encoding/binary"
	"testing"

	"github.com/sysvipc/gipc/shmring"
)

// TestMarkBeforeC leaves a mark as a producer does that dies before its commit. A producer in
// C then sends a message that ends where those of the mark would have ended.
func TestMarkBeforeC(t *testing.T) {
	const capacity, marks = 1 << 12, 768
	mem, f := shared(t, shmring.Size(capacity))
	r, err := shmring.Create(mem, nil)
	if err != nil {
		t.Fatal(err)
	}
	binary.NativeEndian.PutUint64(mem[marks:], capacity+64)
	if out, err := command(compileC(t, "ring"), f, "produce", 1, 64).Output(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p, err := r.JoinProducer()
	if err != nil {
		t.Fatal(err)
	}
	if m, ok, err := p.Mark(); ok || err != nil {
		t.Errorf("Mark = %v, %t, %v", m, ok, err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}
