package sysv_test

import (
	"errors"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/sysv"
)

func TestParseKey(t *testing.T) {
	tests := []struct {
		in   string
		want sysv.Key
		err  string // a part of the message; "" if there is none
	}{
		{"1234", 1234, ""},
		{"0x4d2", 1234, ""},
		{"0X4D2", 1234, ""},
		{"02322", 1234, ""},
		{"+7", 7, ""},
		{"0", 0, ""},
		{"00", 0, ""},
		{"-1", -1, ""},
		{"0xffffffff", -1, ""},
		{"4294967295", -1, ""},
		{"037777777777", -1, ""},
		{"-0x80000000", math.MinInt32, ""},
		{"2147483648", math.MinInt32, ""},
		{"2147483647", math.MaxInt32, ""},
		{"0xb0b", 0xb0b, ""},

		{"4294967296", 0, "does not fit"},
		{"-2147483649", 0, "does not fit"},
		{"0x100000000", 0, "does not fit"},
		{"99999999999999999999999", 0, "does not fit"},
		{"-99999999999999999999999", 0, "does not fit"},

		{"", 0, "is not a number"},
		{"0x", 0, "is not a number"},
		{"08", 0, "is not a number"},
		{"0b11", 0, "is not a number"},
		{"-0B1", 0, "is not a number"},
		{"0o17", 0, "is not a number"},
		{"0O17", 0, "is not a number"},
		{"1_000", 0, "is not a number"},
		{"0x1_0", 0, "is not a number"},
		{" 1", 0, "is not a number"},
		{"1 ", 0, "is not a number"},
		{"+-1", 0, "is not a number"},
		{"--1", 0, "is not a number"},
		{"1.5", 0, "is not a number"},
		{"1e3", 0, "is not a number"},
		{"ff", 0, "is not a number"},
		{"key", 0, "is not a number"},
		{"1\x00", 0, "is not a number"},
	}
	for _, test := range tests {
		got, err := sysv.ParseKey(test.in)
		switch {
		case test.err == "" && err != nil:
			t.Errorf("ParseKey(%q): %v", test.in, err)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("ParseKey(%q): error %v, want one that says %q", test.in, err, test.err)
		case got != test.want:
			t.Errorf("ParseKey(%q) = %d, want %d", test.in, got, test.want)
		}
	}
}

func TestKeyString(t *testing.T) {
	for key, want := range map[sysv.Key]string{
		0: "0x00000000", 1234: "0x000004d2", -1: "0xffffffff",
		math.MinInt32: "0x80000000", math.MaxInt32: "0x7fffffff",
	} {
		if got := key.String(); got != want {
			t.Errorf("Key(%d).String() = %q, want %q", key, got, want)
		}
	}
}

// FuzzParseKey compares ParseKey with strconv, for the three bases of C.
func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"1234", "0x4d2", "02322", "-1", "+0X7f", "0b1", "0o7", "1_0", "4294967296", "", "0", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := sysv.ParseKey(s)
		want, ok := parseC(s)
		if (err == nil) != ok {
			t.Fatalf("ParseKey(%q): error %v, want ok %v", s, err, ok)
		}
		if got != want {
			t.Fatalf("ParseKey(%q) = %v, want %v", s, got, want)
		}
		if again, err := sysv.ParseKey(got.String()); err != nil || again != got {
			t.Fatalf("ParseKey(%q) = %v, %v, not the key %v itself", got.String(), again, err, got)
		}
	})
}

// parseC is a second, simpler ParseKey: a sign, then digits of the base that the prefix
// selects.
func parseC(s string) (sysv.Key, bool) {
	sign, digits, base := "", s, 10
	if s != "" && (s[0] == '+' || s[0] == '-') {
		sign, digits = s[:1], s[1:]
	}
	switch {
	case len(digits) > 1 && (digits[:2] == "0x" || digits[:2] == "0X"):
		digits, base = digits[2:], 16
	case len(digits) > 1 && digits[0] == '0':
		digits, base = digits[1:], 8
	}
	if digits == "" || strings.ContainsAny(digits, "+-_") {
		return 0, false
	}
	n, err := strconv.ParseInt(sign+digits, base, 64)
	if err != nil || n < math.MinInt32 || n > math.MaxUint32 {
		return 0, false
	}
	return sysv.Key(uint32(n)), true
}

func TestPrivateKeyIsNotLookedUp(t *testing.T) {
	_, shm := sysv.OpenSegment(sysv.Private)
	_, sem := sysv.OpenSet(sysv.Private)
	_, msg := sysv.OpenQueue(sysv.Private)
	for call, err := range map[string]error{"OpenSegment": shm, "OpenSet": sem, "OpenQueue": msg} {
		if !errors.Is(err, sysv.ErrPrivateKey) {
			t.Errorf("%s(Private): error %v, want ErrPrivateKey", call, err)
		}
	}
}

func TestFtokRefuses(t *testing.T) {
	if _, err := sysv.Ftok(".", 0); err == nil {
		t.Error("Ftok with project number 0 succeeded")
	}
	var pathErr *fs.PathError
	_, err := sysv.Ftok(t.TempDir()+"/none", 1)
	if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &pathErr) {
		t.Errorf("Ftok of a file that is not there: error %v, want an *fs.PathError that is fs.ErrNotExist", err)
	}
	if _, err := sysv.Ftok("key_test.go/x", 1); err == nil {
		t.Error("Ftok of a path through a file succeeded")
	}
}
