package sysv_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
	"golang.org/x/sys/unix"
)

// halfMade is the mode of a set that OpenOrCreateSet has created and not yet given values.
// The mark in it is part of the protocol between processes.
const halfMade fs.FileMode = 0o601

// atOnce is how long OpenOrCreateSet may take if it does not need its second of patience.
const atOnce = 500 * time.Millisecond

func openOrCreate(t testing.TB, key sysv.Key, values ...uint16) sysv.Set {
	t.Helper()
	s, _, err := sysv.OpenOrCreateSet(t.Context(), key, values, nil)
	check(t, err)
	t.Cleanup(func() { remove(t, s) })
	return s
}

func TestOpenOrCreateSet(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	for _, values := range [][]uint16{{0}, {1}, {0, 0, 0}, {1, 0, 7}, {0, 32767}, make([]uint16, 251)} {
		before := kernelSecond(t)
		set := openOrCreate(t, setKey, values...)
		wantValues(t, "made", set, values...)
		info, err := set.Stat()
		check(t, err)
		if info.Mode != 0o600 || info.NSems != len(values) {
			t.Errorf("mode %v, %d semaphores, want 0600 without the mark, %d", info.Mode, info.NSems, len(values))
		}
		wantRecent(t, "OTime", info.OTime, before)

		check(t, set.Do(t.Context(), sysv.Op{Add: 1})) // used meanwhile
		if again := openOrCreate(t, setKey, values...); again != set {
			t.Errorf("a second call returns %d, want %d", again, set)
		}
		if got, err := set.Value(0); err != nil || got != int(values[0])+1 {
			t.Errorf("the second call changed the value to %d, %v", got, err)
		}
		check(t, set.Remove())
	}
}

func TestOpenOrCreateSetErrors(t *testing.T) {
	createSet(t, setKey, 3, 0o600)
	tests := []struct {
		name   string
		key    sysv.Key
		values []uint16
		o      *sysv.SetOptions
		want   error
	}{
		{"too few", setKey, make([]uint16, 2), nil, sysv.ErrMismatch},
		{"too many", setKey, make([]uint16, 4), nil, sysv.ErrMismatch},
		{"none, of an existing set", setKey, nil, nil, unix.EINVAL},
		{"none", 1, nil, nil, unix.EINVAL},
		{"value out of range", 1, []uint16{1, 32768}, nil, unix.ERANGE},
		{"mode that is the mark", 1, []uint16{1}, &sysv.SetOptions{Mode: 0o601}, unix.EINVAL},
		{"mode with a setuid bit", 1, []uint16{1}, &sysv.SetOptions{Mode: fs.ModeSetuid}, unix.EINVAL},
		{"more values than one semop gives", 1, ones(251), nil, unix.E2BIG},
		{"more than the kernel can count", 1, make([]uint16, 1<<16+1), nil, unix.EINVAL},
	}
	for _, test := range tests {
		watch := ipctest.StartWatch(t)
		s, _, err := sysv.OpenOrCreateSet(t.Context(), test.key, test.values, test.o)
		wantError(t, test.name, err, test.want)
		if err == nil {
			remove(t, s)
		}
		if took, tooLong := watch.Stop(atOnce); tooLong {
			t.Errorf("%s: it took %v", test.name, took)
		}
		if _, err := sysv.OpenSet(1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something is left: %v", test.name, err)
		}
	}
}

func ones(n int) []uint16 {
	values := make([]uint16, n)
	for i := range values {
		values[i] = 1
	}
	return values
}

func TestOpenOrCreatePrivateSet(t *testing.T) {
	a, b := openOrCreate(t, sysv.Private, 3), openOrCreate(t, sysv.Private, 3)
	if a == b {
		t.Errorf("both are %d", a)
	}
	wantValues(t, "a", a, 3)
	wantValues(t, "b", b, 3)
}

// TestForeignSets opens sets that other programs made, in all the ways they do.
func TestForeignSets(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(sysv.Set) error
		want    []uint16
		err     error
		min     time.Duration
		max     time.Duration
	}{
		{"announced by semop", func(s sysv.Set) error {
			return errors.Join(s.SetValue(0, 5), s.Do(t.Context(), sysv.Op{Num: 1}))
		}, []uint16{5, 0}, nil, 0, atOnce},
		{"SETVAL alone", func(s sysv.Set) error { return s.SetValue(1, 5) }, []uint16{0, 5}, nil, 0, atOnce},
		{"SETVAL of zero", func(s sysv.Set) error { return s.SetValue(1, 0) }, []uint16{0, 0}, nil, 0, atOnce},
		{"SETALL", func(s sysv.Set) error { return s.SetValues([]uint16{1, 2}) }, []uint16{1, 2}, nil, 0, atOnce},
		{"virgin", func(sysv.Set) error { return nil }, nil, sysv.ErrUninitialized, time.Second, 5 * time.Second},
	}
	var all sync.WaitGroup
	for i, test := range tests {
		all.Go(func() {
			key := setKey + sysv.Key(i)
			set, err := sysv.CreateSet(key, 2, &sysv.SetOptions{Mode: 0o666})
			wantError(t, test.name, errors.Join(err, test.prepare(set)), nil)
			defer remove(t, set)
			watch := ipctest.StartWatch(t)
			got, _, err := sysv.OpenOrCreateSet(t.Context(), key, []uint16{9, 9}, nil)
			took, tooLong := watch.Stop(test.max)
			wantError(t, test.name, err, test.err)
			if err == nil && got != set {
				t.Errorf("%s: made %d, want the existing %d", test.name, got, set)
			}
			if test.want != nil {
				wantValues(t, test.name, set, test.want...)
			}
			if took < test.min || tooLong {
				t.Errorf("%s: took %v, want %v to %v", test.name, took, test.min, test.max)
			}
		})
	}
	all.Wait()
}

// TestForeignMakerIsWaitedFor opens a set whose creator, for instance a C program, first
// sets zero and then the value by a semop.
func TestForeignMakerIsWaitedFor(t *testing.T) {
	set := createSet(t, setKey, 1, 0o600)
	check(t, set.SetValue(0, 0))
	result := background(t, func() error {
		s, _, err := sysv.OpenOrCreateSet(t.Context(), setKey, []uint16{9}, nil)
		if err != nil {
			return err
		}
		if value, err := s.Value(0); value != 3 || s != set {
			return fmt.Errorf("returned set %d with value %d, %v, before the maker gave it", s, value, err)
		}
		return nil
	})
	time.Sleep(20 * time.Millisecond) // the maker is slow
	check(t, set.Do(t.Context(), sysv.Op{Add: 3}))
	wantError(t, "OpenOrCreateSet", result(), nil)
}

// TestHalfMadeSets makes by hand what a dying creator leaves.
func TestHalfMadeSets(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	t.Run("before the values", testWithoutValues)
	t.Run("wrong number", func(t *testing.T) {
		createSet(t, setKey, 3, halfMade)
		_, _, err := sysv.OpenOrCreateSet(t.Context(), setKey, []uint16{1}, nil)
		wantError(t, "OpenOrCreateSet", err, sysv.ErrMismatch)
	})
	t.Run("after the values", func(t *testing.T) {
		set := createSet(t, setKey, 1, halfMade)
		check(t, set.Do(t.Context(), sysv.Op{Add: 4}))
		watch := ipctest.StartWatch(t)
		got, _, err := sysv.OpenOrCreateSet(t.Context(), setKey, []uint16{4}, nil)
		if took, tooLong := watch.Stop(atOnce); err != nil || got != set || tooLong {
			t.Errorf("OpenOrCreateSet = %d, %v in %v, want %d at once", got, err, took, set)
		}
	})
	t.Run("values by somebody else", func(t *testing.T) {
		corpse := createSet(t, setKey, 1, halfMade)
		check(t, corpse.SetValue(0, 4))
		set := openOrCreate(t, setKey, 2)
		wantValues(t, "made anew", set, 2)
	})
	t.Run("removed while waited for", testRemovedWhileWaitedFor)
}

// testWithoutValues lets several callers find a set without values. One of them replaces
// it, and all return the new set.
func testWithoutValues(t *testing.T) {
	corpse := createSet(t, setKey, 2, halfMade)
	const callers = 8
	sets := make([]sysv.Set, callers)
	var all sync.WaitGroup
	start := time.Now()
	for i := range sets {
		all.Go(func() {
			var err error
			sets[i], _, err = sysv.OpenOrCreateSet(t.Context(), setKey, []uint16{callers, 1}, nil)
			wantError(t, "OpenOrCreateSet", err, nil)
			if ok, err := sets[i].TryDo(sysv.Op{Add: -1}); !ok || err != nil {
				t.Errorf("no token for caller %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if took := time.Since(start); took < 900*time.Millisecond || took > 30*time.Second {
		t.Errorf("it took %v, want about a second", took)
	}
	for _, s := range sets {
		if s != sets[0] || s == corpse {
			t.Errorf("sets %v, want all the same, and not %d", sets, corpse)
			break
		}
	}
	wantValues(t, "all tokens taken", sets[0], 0, 1)
	remove(t, sets[0])
}

func testRemovedWhileWaitedFor(t *testing.T) {
	corpse := createSet(t, setKey, 1, halfMade)
	result := background(t, func() error {
		s, _, err := sysv.OpenOrCreateSet(t.Context(), setKey, []uint16{2}, nil)
		if err != nil {
			return err
		}
		value, err := s.Value(0)
		if value != 2 {
			err = fmt.Errorf("value %d, %w", value, err)
		}
		return errors.Join(err, s.Remove())
	})
	time.Sleep(20 * time.Millisecond) // it has found the half-made set
	check(t, corpse.Remove())
	watch := ipctest.StartWatch(t)
	wantError(t, "OpenOrCreateSet", result(), nil)
	if took, tooLong := watch.Stop(atOnce); tooLong {
		t.Errorf("it noticed after %v", took)
	}
}

// TestHalfMadeSetOfAnotherUser finds a half-made set that it may not remove.
func TestHalfMadeSetOfAnotherUser(t *testing.T) {
	requireUsers(t)
	readable, secret := createSet(t, setKey, 1, halfMade|0o044), createSet(t, setKey+1, 1, halfMade)
	watch := ipctest.StartWatch(t)
	got := ipctest.Start(t, "unpermitted", nobody).Wait()
	if took, tooLong := watch.Stop(5 * time.Second); tooLong {
		t.Errorf("it took %v", took)
	}
	want := fmt.Sprintf("semctl IPC_RMID sem:%d: %v\nsemctl IPC_STAT sem:%d: %v\n", readable, unix.EPERM, secret, unix.EACCES)
	if got != want {
		t.Errorf("errors %q, want %q", got, want)
	}
}

func playUnpermitted([]string) error {
	for i := range sysv.Key(2) {
		_, _, err := sysv.OpenOrCreateSet(context.Background(), setKey+i, []uint16{1}, nil)
		fmt.Println(err)
	}
	return nil
}

// TestOpenOrCreateRace lets processes race for thousands of sets. Each process takes one
// token of each set, which has as many tokens as there are processes. With too few, a
// process finds none; if the values are set twice, some are left.
func TestOpenOrCreateRace(t *testing.T) {
	const processes, rounds = 8, 2500
	var racers []*ipctest.Process
	for range processes {
		racers = append(racers, ipctest.Start(t, "race", nil, strconv.Itoa(processes), strconv.Itoa(rounds)))
	}
	for _, p := range racers {
		p.Line() // all are ready
	}
	for _, p := range racers {
		p.Tell("go")
	}
	for _, p := range racers {
		p.Wait()
	}
	for round := range rounds {
		set, err := sysv.OpenSet(raceKey(round))
		check(t, err)
		wantValues(t, fmt.Sprintf("round %d", round), set, 0, 7)
		if info, err := set.Stat(); err != nil || info.Mode != 0o600 {
			t.Errorf("round %d: mode %v, %v", round, info.Mode, err)
		}
		check(t, set.Remove())
	}
}

func raceKey(round int) sysv.Key { return sysv.Key(0x10000 + round) }

func playRace(args []string) error {
	processes, _ := strconv.Atoi(args[0])
	rounds, _ := strconv.Atoi(args[1])
	fmt.Println("ready")
	ipctest.Told()
	for round := range rounds {
		set, _, err := sysv.OpenOrCreateSet(context.Background(), raceKey(round), []uint16{uint16(processes), 7}, nil)
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if ok, err := set.TryDo(sysv.Op{Add: -1}); !ok || err != nil {
			return fmt.Errorf("round %d: no token: %w", round, err)
		}
	}
	return nil
}

// TestOpenOrCreateAgainstRemovers removes the set whenever there is one. Every call
// returns a set that was complete, though it may be gone by now.
func TestOpenOrCreateAgainstRemovers(t *testing.T) {
	done := make(chan struct{})
	var remover sync.WaitGroup
	remover.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if s, err := sysv.OpenSet(setKey); err == nil {
				wantError(t, "Remove", s.Remove(), nil)
			}
		}
	})
	gone, found := 0, 0
	for found+gone < 200_000 && gone < 300 {
		s, _, err := sysv.OpenOrCreateSet(t.Context(), setKey, []uint16{0, 8}, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch value, err := s.Value(1); {
		case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EIDRM):
			gone++
		case value == 8 && err == nil:
			found++
		default:
			t.Errorf("value %d, %v, want 8", value, err)
		}
	}
	close(done)
	remover.Wait()
	if s, err := sysv.OpenSet(setKey); err == nil {
		remove(t, s)
	}
	t.Logf("%d found, %d gone", found, gone)
}

// TestMakerIsKilled kills processes that make and remove sets at random moments. The next
// caller soon gets a complete set. Many creators die half-way, which costs a second, so
// several run at a time.
func TestMakerIsKilled(t *testing.T) {
	const lanes = 20
	makers := 0
	var slow atomic.Int64
	for range ipctest.Rounds(t, 6, lanes) {
		makers += lanes
		var all sync.WaitGroup
		for lane := range lanes {
			key := setKey + sysv.Key(lane)
			p := ipctest.Start(t, "kill me", nil, strconv.Itoa(int(key)))
			p.Line()
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
			p.Kill()
			all.Go(func() {
				if took := callAfterDeath(t, key); took > 900*time.Millisecond {
					slow.Add(1)
				}
			})
		}
		all.Wait()
	}
	t.Logf("of %d makers %d died between making a set and giving it values", makers, slow.Load())
}

// callAfterDeath makes a set under the key of a dead creator, and returns how long that
// took.
func callAfterDeath(t *testing.T, key sysv.Key) time.Duration {
	watch := ipctest.StartWatch(t)
	set, _, err := sysv.OpenOrCreateSet(t.Context(), key, []uint16{3, 0, 5}, nil)
	took, tooLong := watch.Stop(5 * time.Second)
	if err != nil {
		t.Error(err)
		return took
	}
	if tooLong {
		t.Errorf("key %v: it took %v", key, took)
	}
	wantValues(t, "after the maker's death", set, 3, 0, 5)
	remove(t, set)
	return took
}

// playKillMe makes the set args[0] and removes it, until it is killed.
func playKillMe(args []string) error {
	key, err := sysv.ParseKey(args[0])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		set, _, err := sysv.OpenOrCreateSet(context.Background(), key, []uint16{3, 0, 5}, nil)
		if err != nil {
			return err
		}
		if err := set.Remove(); err != nil {
			return err
		}
	}
}

// TestOpenOrCreate makes an object of each kind, finds it again, and refuses one that does
// not fit.
func TestOpenOrCreate(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	const key = 0x0c1
	segment, made, err := sysv.OpenOrCreateSegment(key, 5000, nil)
	check(t, err)
	defer remove(t, segment)
	if info, err := segment.Stat(); !made || err != nil || info.Mode != 0o600 || info.Size != 5000 {
		t.Errorf("made %v, %+v, %v", made, info, err)
	}
	if again, made, err := sysv.OpenOrCreateSegment(key, 5000, nil); again != segment || made || err != nil {
		t.Errorf("OpenOrCreateSegment = %d, %v, %v, want %d, found", again, made, err, segment)
	}
	for _, size := range []int64{4999, 5001} {
		_, _, err := sysv.OpenOrCreateSegment(key, size, nil)
		wantError(t, "another size", err, sysv.ErrMismatch)
		if want := fmt.Sprintf("it has 5000 bytes, not the %d asked for", size); !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %q, want %q", err, want)
		}
	}
	_, err = sysv.CreateSegment(key, 5000, nil)
	wantError(t, "CreateSegment", err, fs.ErrExist)

	queue, made, err := sysv.OpenOrCreateQueue(key, &sysv.QueueOptions{Mode: 0o640})
	check(t, err)
	defer remove(t, queue)
	if info, err := queue.Stat(); !made || err != nil || info.Mode != 0o640 {
		t.Errorf("made %v, %+v, %v", made, info, err)
	}
	if again, made, err := sysv.OpenOrCreateQueue(key, nil); again != queue || made || err != nil {
		t.Errorf("OpenOrCreateQueue = %d, %v, %v, want %d, found", again, made, err, queue)
	}

	set, made, err := sysv.OpenOrCreateSet(t.Context(), key, []uint16{1}, &sysv.SetOptions{Mode: sysv.NoAccess})
	check(t, err)
	defer remove(t, set)
	if info, err := set.Stat(); err == nil && (!made || info.Mode != 0) { // only root may look
		t.Errorf("made %v, %+v", made, info)
	}
	_, err = sysv.CreateSetWith(key, []uint16{1}, nil)
	wantError(t, "CreateSetWith", err, fs.ErrExist)

	for range 2 {
		s, made, err := sysv.OpenOrCreateSegment(sysv.Private, 1, nil)
		check(t, err)
		if remove(t, s); !made {
			t.Error("a private segment was found")
		}
	}
}

// TestOpenOrCreateOfAnotherUser checks that another user's object is refused unless the
// options accept it.
func TestOpenOrCreateOfAnotherUser(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	segment, queue := createSegment(t, 3, 10, 0o666), createQueue(t, 3, 0o666)
	own := sysv.Ownership{UID: 1234, Mode: 0o666}
	check(t, segment.SetOwnership(own))
	check(t, queue.SetOwnership(own, 100))
	_, _, err := sysv.OpenOrCreateSegment(3, 10, nil)
	wantError(t, "a segment", err, sysv.ErrMismatch)
	if want := "it belongs to uid 1234, and you are uid 0"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %q, want %q", err, want)
	}
	_, _, err = sysv.OpenOrCreateQueue(3, nil)
	wantError(t, "a queue", err, sysv.ErrMismatch)
	if s, made, err := sysv.OpenOrCreateSegment(3, 10, &sysv.SegmentOptions{AnyOwner: true}); s != segment || made || err != nil {
		t.Errorf("OpenOrCreateSegment of anybody's = %d, %v, %v", s, made, err)
	}
	keyed, err := sysv.CreateSetWith(3, []uint16{1}, nil)
	check(t, err)
	defer remove(t, keyed)
	check(t, keyed.SetOwnership(own))
	_, _, err = sysv.OpenOrCreateSet(t.Context(), 3, []uint16{1}, nil)
	wantError(t, "a set", err, sysv.ErrMismatch)
	if s, made, err := sysv.OpenOrCreateSet(t.Context(), 3, []uint16{1}, &sysv.SetOptions{AnyOwner: true}); s != keyed || made || err != nil {
		t.Errorf("OpenOrCreateSet of anybody's = %d, %v, %v", s, made, err)
	}
}

// TestOpenOrCreateSetIsCancelled cancels a wait for values that never come.
func TestOpenOrCreateSetIsCancelled(t *testing.T) {
	createSet(t, setKey, 1, halfMade)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	watch := ipctest.StartWatch(t)
	_, _, err := sysv.OpenOrCreateSet(ctx, setKey, []uint16{1}, nil)
	wantError(t, "OpenOrCreateSet", err, context.DeadlineExceeded)
	if took, tooLong := watch.Stop(atOnce); tooLong {
		t.Errorf("it took %v", took)
	}
}
