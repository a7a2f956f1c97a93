package sysv_test

import (
	"errors"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/sysv"
)

// TestInvalidIsNotUnknown checks that an EINVAL that has another reason is not
// fs.ErrNotExist. TestUnknownSegment, TestUnknownSet and TestUnknownQueue check the
// reverse.
func TestInvalidIsNotUnknown(t *testing.T) {
	segment := createSegment(t, sysv.Private, 1, 0o600)
	set := createSetWith(t, 0)
	queue := createQueue(t, sysv.Private, 0o600)

	_, unaligned := segment.Attach(&sysv.AttachOptions{Addr: 1})
	_, value := set.Value(1)
	_, nothing := set.TryDo()
	_, typeless := queue.TrySend(0, nil)
	for call, err := range map[string]error{
		"Attach at an odd address":      unaligned,
		"Value of a semaphore too many": value, "SetValue of a semaphore too many": set.SetValue(1, 1),
		"TryDo of nothing": nothing, "Do of nothing": set.Do(t.Context()), "Wait for nothing": set.Wait(t.Context()),
		"TrySend without a type": typeless, "Send without a type": queue.Send(t.Context(), 0, nil),
	} {
		wantError(t, call, err, unix.EINVAL)
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v claims that there is no such object", call, err)
		}
	}
}
