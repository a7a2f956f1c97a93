package sysv_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"

	"github.com/sysvipc/gipc/sysv"
)

// TestErrorsNameTheLimit checks that an error says which limit was reached and what was
// requested.
func TestErrorsNameTheLimit(t *testing.T) {
	set, queue := createSetWith(t, 0, 0), createQueue(t, sysv.Private, 0o600)
	check(t, queue.SetOwnership(sysv.Ownership{Mode: 0o600}, 100))
	send(t, queue, 1, "eleven byte")
	limits, err := sysv.SemLimits()
	check(t, err)
	many := make([]sysv.Op, limits.MaxOps+1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, segment := sysv.CreateSegment(sysv.Private, 0, nil)
	_, members := sysv.CreateSet(sysv.Private, 0, nil)
	_, _, short := queue.Receive(t.Context(), make([]byte, 10), sysv.ReceiveOptions{})
	for _, test := range []struct {
		err  error
		want string
		size int64
		n    int
	}{
		{segment, `shmget shm:0x00000000: invalid argument: size 0 is too small: a segment has at least 1 byte`, 0, 0},
		{members, `semget sem:0x00000000: invalid argument: a set has from 1 to \d+ semaphores \(SEMMSL, .*\), not 0`, 0, 0},
		{set.Do(ctx, sysv.Op{Num: 2, Add: 1}), `semop sem:\d+: file too large: there is no semaphore 2: the set has 2`, 0, 1},
		{set.Do(ctx, many...), fmt.Sprintf(`semop sem:\d+: argument list too long: %d operations are more than SEMOPM, which is %d \(.*\)`, len(many), limits.MaxOps), 0, len(many)},
		{set.Do(ctx, sysv.Op{Add: 32767}, sysv.Op{Add: 1}), `semop sem:\d+: numerical result out of range: .* SEMVMX, which is 32767.*`, 0, 2},
		{queue.Send(ctx, 1, make([]byte, 9000)), `msgsnd msg:\d+: invalid argument: a text of 9000 bytes is longer than MSGMAX, which is 8192 \(sysctl kernel\.msgmax\)`, 9000, 0},
		{queue.Send(ctx, 1, make([]byte, 101)), `msgsnd msg:\d+: invalid argument: a text of 101 bytes never fits: the queue holds 100 \(msg_qbytes\)`, 101, 0},
		{queue.Send(ctx, 0, nil), `msgsnd msg:\d+: invalid argument: the type of a message is 1 or more, not 0`, 0, 0},
		{short, `msgrcv msg:\d+: argument list too long: the message is longer than the buffer of 10 bytes`, 10, 0},
	} {
		var e *sysv.Error
		if !errors.As(test.err, &e) || !regexp.MustCompile("^"+test.want+"$").MatchString(test.err.Error()) {
			t.Errorf("error %v\nwant  %s", test.err, test.want)
		} else if e.Size != test.size || e.Count != test.n {
			t.Errorf("%v: size %d, count %d, want %d, %d", e, e.Size, e.Count, test.size, test.n)
		}
	}
}
