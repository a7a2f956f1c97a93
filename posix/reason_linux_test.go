package posix_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/posix"
)

// An error says which limit was reached and what was requested.
func TestErrorsNameTheLimit(t *testing.T) {
	q := createQueue(t, "/q", small)
	receive := func(size int) error { return third(q.Receive(t.Context(), make([]byte, size))) }
	create := func(msgs, size int) error {
		return second(posix.CreateQueue("/none", &posix.QueueOptions{Mode: 0o600, MaxMsgs: msgs, MsgSize: size}))
	}
	const huge = 1 << 30 // also with CAP_SYS_RESOURCE
	for _, test := range []struct {
		err  error
		want string
	}{
		{q.Send(t.Context(), make([]byte, 17), 0), `mq_send /q: message too long: a message of 17 bytes is longer than MsgSize, which is 16`},
		{q.Send(t.Context(), nil, 32768), `mq_send /q: invalid argument: priority 32768 is above 32767`},
		{receive(15), `mq_receive /q: message too long: a buffer of 15 bytes is shorter than MsgSize, which is 16`},
		{create(0, 16), `mq_open /none: invalid argument: a queue for 0 messages of 16 bytes`},
		{create(huge, 16), `mq_open /none: invalid argument: 1073741824 messages are more than msg_max, which is \d+ \(sysctl fs\.mqueue\.msg_max\)`},
		{create(1, huge), `mq_open /none: invalid argument: messages of 1073741824 bytes are longer than msgsize_max, which is \d+ \(sysctl fs\.mqueue\.msgsize_max\)`},
	} {
		if !regexp.MustCompile("^" + test.want + "$").MatchString(fmt.Sprint(test.err)) {
			t.Errorf("error %v\nwant  %s", test.err, test.want)
		}
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }

// EMFILE has two causes.
func TestQueueLimitsOfTheProcess(t *testing.T) {
	var bytes, files unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &bytes))
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &files))
	must(t, unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Cur: 7, Max: bytes.Max}))
	_, err := posix.CreateQueue("/none", small)
	must(t, unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &bytes))
	want := "mq_open /none: too many open files: the queues of this user would take more than RLIMIT_MSGQUEUE, which is 7 bytes (ulimit -q)"
	if fmt.Sprint(err) != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}

	f, err := os.Open("/")
	must(t, err)
	defer f.Close()
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: files.Max}))
	_, err = posix.CreateQueue("/none", small)
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &files))
	want = "mq_open /none: too many open files: the process has as many descriptors open as RLIMIT_NOFILE allows"
	if fmt.Sprint(err) != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}
