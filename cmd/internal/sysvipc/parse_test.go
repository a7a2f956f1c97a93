package sysvipc

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sysvipc/gipc/sysv"
)

const (
	shmTitle = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n"
	semTitle = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
	msgTitle = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n"
)

func TestParseSegments(t *testing.T) {
	const text = shmTitle +
		"      1234          0   600                  4096   101   102      3  1000  1001  1002  1003 1700000001 1700000002 1700000003                  4096                  8192\n" +
		"-2147483648 2147483647  3777   9223372036854775807 4194304     0 18446744073709551615 4294967295 4294967295     0     0          0          0 1700000003              12345678                     0\n" +
		"         0          5  1000                     1     1     0      0     0     0     0     0          0          0          1\n"
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	want := []sysv.SegmentInfo{
		{
			ID: 0, Perm: sysv.Perm{Key: 1234, UID: 1000, GID: 1001, CUID: 1002, CGID: 1003, Mode: 0o600},
			Size: 4096, NAttch: 3, CPID: 101, LPID: 102, ATime: at(1700000001), DTime: at(1700000002), CTime: at(1700000003),
		},
		{
			ID: 1<<31 - 1, Perm: sysv.Perm{Key: -1 << 31, UID: 1<<32 - 1, GID: 1<<32 - 1, Mode: 0o777}, Dest: true, Locked: true,
			Size: 1<<63 - 1, NAttch: 1<<64 - 1, CPID: 4194304, CTime: at(1700000003),
		},
		{ID: 5, Dest: true, Size: 1, CPID: 1, CTime: at(1)},
	}
	var got []sysv.SegmentInfo
	for s, err := range ParseSegments(iotest.OneByteReader(strings.NewReader(text))) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParseSegments (-want +got)\n%s", diff)
	}
}

func TestParseSets(t *testing.T) {
	const text = semTitle + "       -12     458765   644      32000  1000  1001  1002  1003 1700000001 1700000002\n"
	want := sysv.SetInfo{
		ID: 458765, Perm: sysv.Perm{Key: -12, UID: 1000, GID: 1001, CUID: 1002, CGID: 1003, Mode: 0o644},
		NSems: 32000, OTime: time.Unix(1700000001, 0), CTime: time.Unix(1700000002, 0),
	}
	for got, err := range ParseSets(strings.NewReader(text)) {
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("ParseSets: %v (-want +got)\n%s", err, diff)
		}
	}
}

func TestParseQueues(t *testing.T) {
	const text = msgTitle + "       -12     458765   604       16384         77   101   102  1000  1001  1002  1003 1700000001 1700000002 1700000003\n"
	want := sysv.QueueInfo{
		ID: 458765, Perm: sysv.Perm{Key: -12, UID: 1000, GID: 1001, CUID: 1002, CGID: 1003, Mode: 0o604},
		CBytes: 16384, QNum: 77, QBytes: UnknownQBytes, LSPID: 101, LRPID: 102,
		STime: time.Unix(1700000001, 0), RTime: time.Unix(1700000002, 0), CTime: time.Unix(1700000003, 0),
	}
	for got, err := range ParseQueues(strings.NewReader(text)) {
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("ParseQueues: %v (-want +got)\n%s", err, diff)
		}
	}
}

func TestParseErrors(t *testing.T) {
	const good = "       -12     458765   644      32000  1000  1001  1002  1003 1700000001 1700000002\n"
	for _, tt := range []struct{ row, want string }{
		{"\n", "too few columns"},
		{"1 2 644 1 0 0 0 0 0\n", "too few columns"},
		{"x 2 644 1 0 0 0 0 0 0\n", "not a number"},
		{"1 -2 644 1 0 0 0 0 0 0\n", "not a number"},
		{"1 2 648 1 0 0 0 0 0 0\n", "not a number"},
		{"1 2 644 - 0 0 0 0 0 0\n", "not a number"},
		{"1 2 644 1 4294967296 0 0 0 0 0\n", "not a number"},
		{"1 2 644 1 -1 0 0 0 0 0\n", "not a number"},
		{"2147483648 2 644 1 0 0 0 0 0 0\n", "not a number"},
		{"1 2147483648 644 1 0 0 0 0 0 0\n", "not a number"},
		{"1 2 644 1 0 0 0 0 0 99999999999999999999\n", "not a number"},
		{"1 2 644 1 0 0 0 0 0 9223372036854775808\n", "not a number"},
		{"1 2 644\t1 0 0 0 0 0 0\n", "not a number"},
	} {
		rows, failed := 0, false
		for _, err := range ParseSets(strings.NewReader(semTitle + good + tt.row + good)) {
			if failed {
				t.Errorf("%q: goes on after the error", tt.row)
			}
			if err != nil {
				failed = true
				if got := err.Error(); !strings.HasPrefix(got, "sysvipc/sem: line 3: ") || !strings.Contains(got, tt.want) {
					t.Errorf("%q: error %q, want %q", tt.row, got, tt.want)
				}
			} else {
				rows++
			}
		}
		if !failed || rows != 1 {
			t.Errorf("%q: %d rows, error %t; want one row and an error", tt.row, rows, failed)
		}
	}
	broken := errors.New("broken")
	for _, err := range ParseQueues(io.MultiReader(strings.NewReader(msgTitle), iotest.ErrReader(broken))) {
		if !errors.Is(err, broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
	}
	for q, err := range ParseQueues(strings.NewReader("")) {
		t.Errorf("an empty file has a row: %+v, %v", q, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(semTitle + "       -12     458765   644      32000  1000  1001  1002  1003 1700000001 1700000002\n"))
	f.Add([]byte(shmTitle + "0 5 1000 1 1 0 0 0 0 0 0 0 0 1 18446744073709551615 18446744073709551615\n"))
	f.Add([]byte(msgTitle + "-12 458765 604 16384 77 101 102 1000 1001 1002 1003 1700000001 1700000002 1700000003\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := bytes.Count(text, []byte("\n")) + 1
		rows := 0
		for s, err := range ParseSegments(bytes.NewReader(text)) {
			rows++
			if err == nil && (s.ID < 0 || s.Size < 0 || s.Mode > 0o777) {
				t.Fatalf("segment %+v from %q", s, text)
			}
		}
		if rows > lines {
			t.Fatalf("%d rows from %d lines", rows, lines)
		}
		for s, err := range ParseSets(bytes.NewReader(text)) {
			if err == nil && (s.ID < 0 || s.NSems < 0 || s.Mode > 0o777) {
				t.Fatalf("set %+v from %q", s, text)
			}
		}
		for q, err := range ParseQueues(bytes.NewReader(text)) {
			if err == nil && (q.ID < 0 || q.LSPID < 0 || q.Mode > 0o777) {
				t.Fatalf("queue %+v from %q", q, text)
			}
		}
	})
}
