package explain_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{"explain": playExplain})
	ipctest.Main(m)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantSentence(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one that says %s", want)
		return
	}
	if got := explain.Error(err); !regexp.MustCompile(`^(?:` + want + `)$`).MatchString(got) {
		t.Errorf("%v:\n got %s\nwant %s", err, got, want)
	}
}

// TestSentences provokes kernel errors on objects of each kind.
func TestSentences(t *testing.T) {
	segment, err := sysv.CreateSegment(7, 100, nil)
	check(t, err)
	t.Cleanup(func() { check(t, segment.Remove()) })
	set, err := sysv.CreateSet(7, 2, nil)
	check(t, err)
	t.Cleanup(func() { check(t, set.Remove()) })
	queue, err := sysv.CreateQueue(7, nil)
	check(t, err)
	t.Cleanup(func() { check(t, queue.Remove()) })

	_, unknownKey := sysv.OpenSegment(1234)
	_, unknownSetKey := sysv.OpenSet(1234)
	_, unknownID := sysv.Queue(77777).Stat()
	_, staleOp := sysv.Set(77777).TryDo(sysv.Op{Add: 1}) // where EINVAL has other meanings too
	_, unknownValue := sysv.Set(77777).Value(0)
	_, staleAttach := sysv.Segment(77777).Attach(nil)
	_, badAddress := segment.Attach(&sysv.AttachOptions{Addr: 1})
	_, taken := sysv.CreateSegment(7, 1, nil)
	_, takenSet := sysv.CreateSet(7, 1, nil)
	_, takenQueue := sysv.CreateQueue(7, nil)
	_, tooFar := set.TryDo(sysv.Op{Num: 5, Add: 1})
	_, privateKey := sysv.OpenQueue(sysv.Private)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()

	tests := []struct {
		err  error
		want string
	}{
		{unknownKey, `there is no shared memory segment with key 0x000004d2`},
		{unknownSetKey, `there is no semaphore set with key 0x000004d2`},
		{unknownID, `there is no message queue 77777`},
		{staleOp, `there is no semaphore set 77777`},
		{unknownValue, `there is no semaphore set 77777`},
		{staleAttach, `there is no shared memory segment 77777`},
		{sysv.Segment(-1).Remove(), `there is no shared memory segment -1`},
		{taken, fmt.Sprintf(`shared memory segment with key 0x00000007 \(id %d\) exists already`, segment)},
		{takenSet, fmt.Sprintf(`semaphore set with key 0x00000007 \(id %d\) exists already`, set)},
		{takenQueue, fmt.Sprintf(`message queue with key 0x00000007 \(id %d\) exists already`, queue)},
		{badAddress, fmt.Sprintf(`shared memory segment %d: shmat: invalid argument`, segment)},
		{tooFar, fmt.Sprintf(`semaphore set %d: there is no semaphore 5: the set has 2`, set)},
		{set.SetValue(0, 40000), fmt.Sprintf(`semaphore set %d: semctl SETVAL: numerical result out of range`, set)},
		{set.Do(cancelled, sysv.Op{Add: -1}), fmt.Sprintf(`semaphore set %d: semop: context canceled`, set)},
		{privateKey, `message queue with key 0x00000000: msgget: key 0 \(IPC_PRIVATE\) names no object`},
		{&sysv.Error{Op: "semop", Kind: sysv.Sem, ID: 5, Err: unix.EIDRM}, `semaphore set 5 was removed meanwhile`},
		{&sysv.Error{Op: "shmget", Kind: sysv.Shm, Err: errors.ErrUnsupported}, `shmget: unsupported operation`},

		{errors.New("its own text"), `its own text`},
		{fmt.Errorf("around it: %w", unknownID), `there is no message queue 77777`},
		{fmt.Errorf("around it: %w", context.Canceled), `interrupted`},
		{explain.As(unknownID, "another sentence"), `another sentence`},
		{fmt.Errorf("around %w", explain.Now(taken)), fmt.Sprintf(`around shared memory segment with key 0x00000007 \(id %d\) exists already`, segment)},
		{errors.Join(explain.As(unknownID, "one"), errors.New("two")), `one; two`},
		{errors.Join(errors.New("one"), unknownKey, unknownID), `one; there is no shared memory segment with key 0x000004d2; there is no message queue 77777`},
	}
	for _, test := range tests {
		wantSentence(t, test.err, test.want)
	}
}

// TestCreations tries to make impossible objects.
func TestCreations(t *testing.T) {
	segment := func(key sysv.Key, size int64, o *sysv.SegmentOptions) error {
		s, err := sysv.CreateSegment(key, size, o)
		if err == nil {
			check(t, s.Remove())
			t.Fatalf("a segment of %d bytes was made", size)
		}
		return err
	}
	set := func(key sysv.Key, nsems int) error {
		s, err := sysv.CreateSet(key, nsems, nil)
		if err == nil {
			check(t, s.Remove())
			t.Fatalf("a set of %d was made", nsems)
		}
		return err
	}
	existing, err := sysv.CreateSegment(7, 100, nil)
	check(t, err)
	t.Cleanup(func() { check(t, existing.Remove()) })
	existingSet, err := sysv.CreateSet(7, 2, nil)
	check(t, err)
	t.Cleanup(func() { check(t, existingSet.Remove()) })

	wantSentence(t, segment(sysv.Private, 0, nil), `size 0 is too small: a segment has at least 1 byte`)
	_, _, err = sysvipc.OpenOrCreateSegment(7, 101, &sysv.SegmentOptions{Mode: 0o600})
	wantSentence(t, err, fmt.Sprintf(`shared memory segment with key 0x00000007 \(id %d\) has 100 bytes, less than the 101 asked for`, existing))
	_, _, err = sysv.OpenOrCreateSegment(7, 99, nil)
	wantSentence(t, err, fmt.Sprintf(`shared memory segment with key 0x00000007 \(id %d\) has 100 bytes, not the 99 asked for`, existing))
	wantSentence(t, segment(7, 1, nil), fmt.Sprintf(`shared memory segment with key 0x00000007 \(id %d\) exists already`, existing))
	wantSentence(t, segment(sysv.Private, 1<<62, nil), `not enough memory for a segment of 4611686018427387904 bytes`)
	wantSentence(t, segment(sysv.Private, 1<<50, &sysv.SegmentOptions{HugePages: sysv.DefaultHugePages}), `not enough free huge pages for 1125899906842624 bytes; sysctl vm\.nr_hugepages sets how many there are`)
	wantSentence(t, segment(sysv.Private, 1, &sysv.SegmentOptions{HugePages: 4096}), `this system has no huge pages of that size; see /sys/kernel/mm/hugepages`)
	_, _, err = sysv.OpenOrCreateSet(t.Context(), 7, make([]uint16, 3), nil)
	wantSentence(t, err, fmt.Sprintf(`semaphore set with key 0x00000007 \(id %d\) has 2 semaphores, not the 3 asked for`, existingSet))
	wantSentence(t, set(sysv.Private, 0), `a set has from 1 to \d+ semaphores \(SEMMSL, the first number of sysctl kernel\.sem\), not 0`)

	limit := func(name, value string) func() {
		old, err := os.ReadFile("/proc/sys/kernel/" + name)
		check(t, err)
		if err := os.WriteFile("/proc/sys/kernel/"+name, []byte(value), 0); err != nil {
			t.Skip("limits cannot be set here: ", err)
		}
		return func() { check(t, os.WriteFile("/proc/sys/kernel/"+name, old, 0)) }
	}
	for _, full := range []struct {
		sysctl, value string
		create        func() error
		want          string
	}{
		{"shmmni", "1", func() error { return segment(sysv.Private, 1, nil) }, `the system is full: SHMMNI, the number of segments, is 1 \(sysctl kernel\.shmmni\) and 1 are in use`},
		{"shmall", "3", func() error { return segment(sysv.Private, 12289, nil) }, `the system is full: SHMALL, the pages of all segments, is 3 \(sysctl kernel\.shmall\); 1 are in use and 4 are asked for`},
		{"shmmax", "50", func() error { return segment(sysv.Private, 51, nil) }, `size 51 is above SHMMAX, which is 50 \(sysctl kernel\.shmmax\)`},
		{"sem", "250 32000 32 1", func() error { return set(sysv.Private, 1) }, `the system is full: SEMMNI, the number of sets, is 1 \(sysctl kernel\.sem, its fourth number\) and 1 are in use`},
		{"sem", "250 5 32 100", func() error { return set(sysv.Private, 4) }, `the system is full: SEMMNS, the semaphores of all sets, is 5 \(sysctl kernel\.sem, its second number\); 2 are in use and 4 are asked for`},
		{"sem", "3 32000 32 100", func() error { return set(sysv.Private, 4) }, `a set has from 1 to 3 semaphores \(SEMMSL, the first number of sysctl kernel\.sem\), not 4`},
		{"msgmni", "0", func() error {
			_, err := sysv.CreateQueue(sysv.Private, nil)
			return err
		}, `the system is full: MSGMNI, the number of queues, is 0 \(sysctl kernel\.msgmni\) and all are in use`},
	} {
		restore := limit(full.sysctl, full.value)
		wantSentence(t, full.create(), full.want)
		restore()
	}
}

// playExplain prints the sentences for a user who owns nothing.
func playExplain([]string) error {
	segment, err := sysv.OpenSegment(7)
	if err != nil {
		return err
	}
	fmt.Println(explain.Error(segment.Remove()))
	fmt.Println(explain.Error(segment.Lock()))
	_, _, err = sysvipc.OpenOrCreateSegment(7, 1, &sysv.SegmentOptions{Mode: 0o600})
	fmt.Println(explain.Error(err))
	own, err := sysv.CreateSegment(sysv.Private, 1<<20, nil)
	if err != nil {
		return err
	}
	for _, limit := range []uint64{0, 4096} {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: limit, Max: 4096}); err != nil {
			return err
		}
		fmt.Println(explain.Error(own.Lock()))
	}
	return own.Remove()
}

func TestNotPermitted(t *testing.T) {
	segment, err := sysv.CreateSegment(7, 100, &sysv.SegmentOptions{Mode: 0o640})
	check(t, err)
	t.Cleanup(func() { check(t, segment.Remove()) })
	if err := segment.SetOwnership(sysv.Ownership{UID: 65534, Mode: 0o640}); err != nil {
		t.Skip("takes two users, but the user namespace knows one only: ", err)
	}
	check(t, segment.SetOwnership(sysv.Ownership{Mode: 0o640}))
	nobody := ipctest.Start(t, "explain", &syscall.Credential{Uid: 65534, Gid: 65534})
	for _, want := range []string{
		`permission denied: shared memory segment \d+ belongs to uid 0, its mode is 0640, you are uid 65534`,
		`permission denied: shared memory segment \d+ belongs to uid 0, its mode is 0640, you are uid 65534`,
		`permission denied: shared memory segment with key 0x00000007 \(id \d+\) belongs to uid 0, its mode is 0640, you are uid 65534`,
		`shared memory segment \d+ cannot be locked: RLIMIT_MEMLOCK is 0 \(ulimit -l\)`,
		`shared memory segment \d+ cannot be locked: that exceeds RLIMIT_MEMLOCK \(ulimit -l\)`,
	} {
		wantSentence(t, errors.New(nobody.Line()), want)
	}
	nobody.Wait()
}
