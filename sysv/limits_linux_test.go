package sysv_test

import (
	"errors"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
	"golang.org/x/sys/unix"
)

// skipWithoutLimits skips a test that changes limits if it may not.
func skipWithoutLimits(t *testing.T) {
	t.Helper()
	if ipctest.UnderQEMU() {
		return // it may change them
	}
	file, err := os.OpenFile("/proc/sys/kernel/shmmni", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("limits cannot be changed: %v", err)
	}
	file.Close()
}

func TestSegmentLimits(t *testing.T) {
	skipWithoutLimits(t)
	inNewNamespace(t, func() {
		page := uint64(os.Getpagesize())
		if !setLimit(t, "shmmax", "8192") || !setLimit(t, "shmmni", "2") || !setLimit(t, "shmall", "4") {
			return
		}
		limits, err := sysv.ShmLimits()
		want := sysv.SegmentLimits{MaxSize: 8192, MinSize: 1, MaxSegments: 2, MaxPerProcess: 2, MaxPages: 4}
		wantError(t, "ShmLimits", err, nil)
		if diff := cmp.Diff(want, limits); diff != "" {
			t.Errorf("ShmLimits (-want +got):\n%s", diff)
		}

		_, err = sysv.CreateSegment(sysv.Private, 8193, nil)
		wantError(t, "CreateSegment beyond SHMMAX", err, unix.EINVAL)
		a, err := sysv.CreateSegment(sysv.Private, 8192, nil)
		wantError(t, "CreateSegment of SHMMAX", err, nil)
		b, err := sysv.CreateSegment(sysv.Private, 1, nil)
		wantError(t, "CreateSegment, the second", err, nil)
		_, err = sysv.CreateSegment(sysv.Private, 1, nil)
		wantError(t, "CreateSegment beyond SHMMNI", err, unix.ENOSPC)

		usage, err := sysv.ShmUsage()
		wantError(t, "ShmUsage", err, nil)
		wantUsage := sysv.SegmentUsage{Segments: 2, Pages: (8192+page-1)/page + 1}
		if diff := cmp.Diff(wantUsage, usage); diff != "" {
			t.Errorf("ShmUsage (-want +got):\n%s", diff)
		}

		setLimit(t, "shmmni", "100")
		setLimit(t, "shmall", "3")
		_, err = sysv.CreateSegment(sysv.Private, 1, nil)
		wantError(t, "CreateSegment beyond SHMALL", err, unix.ENOSPC)
		wantError(t, "Remove", errors.Join(a.Remove(), b.Remove()), nil)
		_, err = sysv.CreateSegment(sysv.Private, 1, nil)
		wantError(t, "CreateSegment when there is room again", err, nil)
	})
}

// TestForcedRemoval sets kernel.shm_rmid_forced, with which the kernel removes unused
// segments.
func TestForcedRemoval(t *testing.T) {
	skipWithoutLimits(t)
	inNewNamespace(t, func() {
		if !setLimit(t, "shm_rmid_forced", "1") {
			return
		}
		seg, err := sysv.CreateSegment(segmentKey, 1, nil)
		wantError(t, "CreateSegment", err, nil)
		mem, err := seg.Attach(nil)
		if err != nil {
			t.Error(err)
			return
		}
		wantError(t, "Detach", mem.Detach(), nil)
		_, err = sysv.OpenSegment(segmentKey)
		wantError(t, "OpenSegment after the last Detach", err, unix.ENOENT)
	})
}

func TestSetLimits(t *testing.T) {
	skipWithoutLimits(t)
	inNewNamespace(t, func() {
		if !setLimit(t, "sem", "5 8 4 2") {
			return
		}
		limits, err := sysv.SemLimits()
		want := sysv.SetLimits{MaxSets: 2, MaxSemaphores: 8, MaxPerSet: 5, MaxOps: 4, MaxValue: math.MaxInt16}
		wantError(t, "SemLimits", err, nil)
		if diff := cmp.Diff(want, limits); diff != "" {
			t.Errorf("SemLimits (-want +got):\n%s", diff)
		}

		_, err = sysv.CreateSet(sysv.Private, 6, nil)
		wantError(t, "CreateSet beyond SEMMSL", err, unix.EINVAL)
		five, err := sysv.CreateSet(sysv.Private, 5, nil)
		wantError(t, "CreateSet of SEMMSL", err, nil)
		_, err = sysv.CreateSet(sysv.Private, 4, nil)
		wantError(t, "CreateSet beyond SEMMNS", err, unix.ENOSPC)
		_, err = sysv.CreateSet(sysv.Private, 3, nil)
		wantError(t, "CreateSet up to SEMMNS", err, nil)

		usage, err := sysv.SemUsage()
		wantError(t, "SemUsage", err, nil)
		if diff := cmp.Diff(sysv.SetUsage{Sets: 2, Semaphores: 8}, usage); diff != "" {
			t.Errorf("SemUsage (-want +got):\n%s", diff)
		}

		setLimit(t, "sem", "5 100 4 2")
		_, err = sysv.CreateSet(sysv.Private, 1, nil)
		wantError(t, "CreateSet beyond SEMMNI", err, unix.ENOSPC)

		ops := []sysv.Op{{Add: 1}, {Add: 1}, {Add: 1}, {Add: 1}, {Add: 1}}
		_, err = five.TryDo(ops...)
		wantError(t, "TryDo beyond SEMOPM", err, unix.E2BIG)
		_, err = five.TryDo(ops[:4]...)
		wantError(t, "TryDo of SEMOPM", err, nil)

		wantError(t, "Remove", five.Remove(), nil)
		_, err = sysv.CreateSetWith(setKey, []uint16{1, 2, 3}, nil)
		wantError(t, "CreateSetWith with more values than SEMOPM allows", err, unix.E2BIG)
		_, err = sysv.OpenSet(setKey)
		wantError(t, "what it left", err, unix.ENOENT)
		_, err = sysv.CreateSetWith(setKey, []uint16{1, 0, 3}, nil)
		wantError(t, "CreateSetWith", err, nil)
		_, err = sysv.CreateSetWith(setKey+1, []uint16{1}, nil)
		wantError(t, "CreateSetWith beyond SEMMNI", err, unix.ENOSPC)
	})
}

func TestQueueLimits(t *testing.T) {
	skipWithoutLimits(t)
	inNewNamespace(t, func() {
		if !setLimit(t, "msgmni", "1") || !setLimit(t, "msgmax", "10") || !setLimit(t, "msgmnb", "15") {
			return
		}
		limits, err := sysv.MsgLimits()
		wantError(t, "MsgLimits", err, nil)
		if diff := cmp.Diff(sysv.QueueLimits{MaxQueues: 1, MaxSize: 10, MaxBytes: 15}, limits); diff != "" {
			t.Errorf("MsgLimits (-want +got):\n%s", diff)
		}

		q, err := sysv.CreateQueue(sysv.Private, nil)
		wantError(t, "CreateQueue", err, nil)
		_, err = sysv.CreateQueue(sysv.Private, nil)
		wantError(t, "CreateQueue beyond MSGMNI", err, unix.ENOSPC)
		info, err := q.Stat()
		if err != nil || info.QBytes != 15 {
			t.Errorf("QBytes %d, %v, want MSGMNB", info.QBytes, err)
		}
		_, err = q.TrySend(1, make([]byte, 11))
		wantError(t, "TrySend beyond MSGMAX", err, unix.EINVAL)
		ok, err := q.TrySend(1, make([]byte, 10))
		if !ok || err != nil {
			t.Errorf("TrySend of MSGMAX = %v, %v", ok, err)
		}
		ok, err = q.TrySend(1, make([]byte, 6))
		if ok || err != nil {
			t.Errorf("TrySend beyond MSGMNB = %v, %v", ok, err)
		}

		usage, err := sysv.MsgUsage()
		wantError(t, "MsgUsage", err, nil)
		if diff := cmp.Diff(sysv.QueueUsage{Queues: 1, Messages: 1, Bytes: 10}, usage); diff != "" {
			t.Errorf("MsgUsage (-want +got):\n%s", diff)
		}
	})
}

// TestLimitsAreThoseOfProc compares the current limits with /proc/sys/kernel.
func TestLimitsAreThoseOfProc(t *testing.T) {
	shm, err1 := sysv.ShmLimits()
	sem, err2 := sysv.SemLimits()
	msg, err3 := sysv.MsgLimits()
	check(t, errors.Join(err1, err2, err3))
	word := func(name string) uint64 {
		text, err := os.ReadFile("/proc/sys/kernel/" + name)
		check(t, err)
		n, err := strconv.ParseUint(string(text[:len(text)-1]), 10, 64)
		check(t, err)
		return uint64(uintptr(n)) // the kernel truncates it for a 32-bit program
	}
	got := map[string]uint64{
		"shmmax": shm.MaxSize, "shmall": shm.MaxPages, "shmmni": shm.MaxSegments,
		"msgmni": uint64(msg.MaxQueues), "msgmax": uint64(msg.MaxSize), "msgmnb": uint64(msg.MaxBytes),
	}
	for name, n := range got {
		if want := word(name); n != want && (name != "shmmax" || n != math.MaxInt32) {
			t.Errorf("%s is %d, want %d", name, n, want)
		}
	}
	if sem.MaxValue != math.MaxInt16 || sem.MaxPerSet < 1 || sem.MaxSets < 1 {
		t.Errorf("SemLimits %+v", sem)
	}
}
