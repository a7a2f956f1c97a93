package sysv_test

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// rows returns every object of every kind as a line of text, without fields that change by
// themselves.
func rows() ([]string, error) {
	var rows []string
	add := func(row any, err error) error {
		rows = append(rows, fmt.Sprintf("%T %+v", row, row))
		return err
	}
	for info, err := range sysv.Segments() {
		if err := add(info, err); err != nil {
			return nil, err
		}
	}
	for info, err := range sysv.Sets() {
		if err := add(info, err); err != nil {
			return nil, err
		}
	}
	for info, err := range sysv.Queues() {
		if err := add(info, err); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func playEnumerate([]string) error {
	rows, err := rows()
	if err == nil {
		fmt.Println(strings.Join(rows, "\n"))
	}
	return err
}

// TestEnumeration makes a thousand objects of each kind, none of which an ordinary user
// may read, and finds all of them.
func TestEnumeration(t *testing.T) {
	skipWithoutStatAny(t)
	const n = 1000
	want := map[string]int{}
	for i := range n {
		key := sysv.Key(10_000 + i)
		want[fmt.Sprint("segment ", createSegment(t, key, int64(i+1), 0))] = i + 1
		want[fmt.Sprint("set ", createSet(t, key, i%10+1, 0))] = i%10 + 1
		q := createQueue(t, key, 0)
		check(t, q.SetOwnership(sysv.Ownership{}, uint64(i+1)))
		want[fmt.Sprint("queue ", q)] = i + 1
	}
	got := map[string]int{}
	for info, err := range sysv.Segments() {
		check(t, err)
		got[fmt.Sprint("segment ", info.ID)] = int(info.Size)
	}
	for info, err := range sysv.Sets() {
		check(t, err)
		got[fmt.Sprint("set ", info.ID)] = info.NSems
	}
	for info, err := range sysv.Queues() {
		check(t, err)
		got[fmt.Sprint("queue ", info.ID)] = int(info.QBytes)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("enumerated (-want +got):\n%s", diff)
	}

	requireUsers(t)
	mine, err := rows()
	check(t, err)
	others := strings.Split(strings.TrimSpace(ipctest.Start(t, "enumerate", nobody).Wait()), "\n")
	if len(mine) != 3*n {
		t.Errorf("root sees %d rows, want %d", len(mine), 3*n)
	}
	if diff := cmp.Diff(mine, others); diff != "" {
		t.Errorf("an ordinary user sees other rows than root (-root +user):\n%s", diff)
	}
}

func skipWithoutStatAny(t *testing.T) {
	t.Helper()
	ipctest.SkipUnderQEMU(t, "it does not know *_STAT_ANY")
}

// TestEnumerationEndsEarly leaves the loop after some rows.
func TestEnumerationEndsEarly(t *testing.T) {
	skipWithoutStatAny(t)
	for range 5 {
		createSegment(t, sysv.Private, 1, 0)
		createSet(t, sysv.Private, 1, 0)
		createQueue(t, sysv.Private, 0)
	}
	for stop := 1; stop <= 5; stop++ {
		wantTurns(t, sysv.Segments(), stop)
		wantTurns(t, sysv.Sets(), stop)
		wantTurns(t, sysv.Queues(), stop)
	}
}

func wantTurns[T any](t *testing.T, objects iter.Seq2[T, error], stop int) {
	t.Helper()
	turns := 0
	for _, err := range objects {
		check(t, err)
		if turns++; turns == stop {
			break
		}
	}
	if turns != stop {
		t.Errorf("%T: %d turns, want %d", objects, turns, stop)
	}
}

func TestEnumerationOfNothing(t *testing.T) {
	got, err := rows()
	if len(got) != 0 || err != nil {
		t.Errorf("enumerated %v, %v, want nothing", got, err)
	}
}

// TestEnumerationWhileTheyChange makes and removes objects while it lists them. Objects
// that stay must be listed exactly once, and every row must make sense.
func TestEnumerationWhileTheyChange(t *testing.T) {
	skipWithoutStatAny(t)
	stay := map[int]bool{}
	for i := range 50 {
		stay[int(createSet(t, sysv.Key(100+i), 1, 0o600))] = true
		if i%2 == 0 {
			remove(t, createSet(t, sysv.Private, 1, 0o600)) // a gap
		}
	}
	done := make(chan struct{})
	var churn sync.WaitGroup
	for range 2 {
		churn.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				s, err := sysv.CreateSet(sysv.Private, 2, nil)
				wantError(t, "CreateSet", err, nil)
				wantError(t, "Remove", s.Remove(), nil)
			}
		})
	}
	for range 300 {
		seen := map[int]bool{}
		for info, err := range sysv.Sets() {
			check(t, err)
			if seen[info.ID] || info.NSems != 1 && info.NSems != 2 {
				t.Errorf("%+v, seen before: %v", info, seen[info.ID])
			}
			seen[info.ID] = true
		}
		for id := range stay {
			if !seen[id] {
				t.Errorf("set %d was left out", id)
			}
		}
	}
	close(done)
	churn.Wait()
}

// TestStatAny checks that StatAny returns what Stat returns, and finds no object by an
// identifier with another sequence number.
func TestStatAny(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it lacks *_STAT_ANY")
	seg, set, queue := createSegment(t, 1, 1, 0o600), createSet(t, 2, 1, 0o600), createQueue(t, 3, 0o600)
	text := func(info any, err error) string { return fmt.Sprintf("%+v %v", info, err) }
	want := []string{text(seg.Stat()), text(set.Stat()), text(queue.Stat())}
	if diff := cmp.Diff(want, []string{text(seg.StatAny()), text(set.StatAny()), text(queue.StatAny())}); diff != "" {
		t.Errorf("StatAny (-want +got):\n%s", diff)
	}
	const otherSequence = 1 << 20
	for _, bad := range []int{-1, otherSequence} {
		_, shm := (seg + sysv.Segment(bad)).StatAny()
		_, sem := (set + sysv.Set(bad)).StatAny()
		_, msg := (queue + sysv.Queue(bad)).StatAny()
		for call, err := range map[string]error{"segment": shm, "set": sem, "queue": msg} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s %d: error %v, want fs.ErrNotExist", call, bad, err)
			}
		}
	}
}
