package semops_test

import (
	"slices"
	"testing"

	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		want []sysv.Op
		out  string // what Format makes of it, in if empty
	}{
		{in: "0-1", want: []sysv.Op{{Add: -1}}},
		{in: "0-1un,1+1", want: []sysv.Op{{Add: -1, Undo: true, NoWait: true}, {Num: 1, Add: 1}}},
		{in: "7=0", want: []sysv.Op{{Num: 7}}},
		{in: "7=0n", want: []sysv.Op{{Num: 7, NoWait: true}}},
		{in: "7=0nu", want: []sysv.Op{{Num: 7, NoWait: true, Undo: true}}, out: "7=0un"},
		{in: "65535+32767,0-32767", want: []sysv.Op{{Num: 65535, Add: 32767}, {Add: -32767}}},
		{in: "007+0012", want: []sysv.Op{{Num: 7, Add: 12}}, out: "7+12"},
		{in: "1=00,1+1u", want: []sysv.Op{{Num: 1}, {Num: 1, Add: 1, Undo: true}}, out: "1=0,1+1u"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := semops.Parse(tt.in)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Fatalf("Parse = %+v, %v; want %+v", got, err, tt.want)
			}
			out := tt.out
			if out == "" {
				out = tt.in
			}
			if got := semops.Format(got...); got != out {
				t.Errorf("Format = %q; want %q", got, out)
			}
		})
	}
	if got := semops.Format(); got != "" {
		t.Errorf("Format of nothing = %q", got)
	}
}

func TestParseErrors(t *testing.T) {
	const (
		wantNum  = `want the number of a semaphore, 0 to 65535: `
		wantAdd  = `want +N, -N or =0 after the number of the semaphore`
		wantZero = `want =0, since zero is the only value that can be waited for: `
		wantPlus = `want +1 to +32767, or =0 to wait for zero: `
		wantLess = `want -1 to -32767, or =0 to wait for zero: `
		wantFlag = `want at most one u (SEM_UNDO), at most one n (IPC_NOWAIT), and a comma or the end after them`
	)
	tests := []struct{ in, want string }{
		{"", `no operation; want for example 0-1 or 0-1un,1+1`},
		{",", `operation 1 (""), character 1: ` + wantNum + `no digit`},
		{"0-1,", `operation 2 (""), character 5: ` + wantNum + `no digit`},
		{"0-1,,1+1", `operation 2 (""), character 5: ` + wantNum + `no digit`},
		{" 0-1", `operation 1 (" 0-1"), character 1: ` + wantNum + `no digit`},
		{"-1", `operation 1 ("-1"), character 1: ` + wantNum + `no digit`},
		{"65536-1", `operation 1 ("65536-1"), character 1: ` + wantNum + `65536 is out of range`},
		{"99999999999999999999-1", `operation 1 ("99999999999999999999-1"), character 1: ` + wantNum + `99999999999999999999 is out of range`},
		{"0", `operation 1 ("0"), character 2: ` + wantAdd},
		{"0-1,12*1", `operation 2 ("12*1"), character 7: ` + wantAdd},
		{"0=1", `operation 1 ("0=1"), character 2: ` + wantZero + `1 is out of range`},
		{"0=", `operation 1 ("0="), character 2: ` + wantZero + `no digit`},
		{"0+0", `operation 1 ("0+0"), character 2: ` + wantPlus + `0 is out of range`},
		{"0+32768", `operation 1 ("0+32768"), character 2: ` + wantPlus + `32768 is out of range`},
		{"0-32768", `operation 1 ("0-32768"), character 2: ` + wantLess + `32768 is out of range`},
		{"0-", `operation 1 ("0-"), character 2: ` + wantLess + `no digit`},
		{"0--1", `operation 1 ("0--1"), character 2: ` + wantLess + `no digit`},
		{"0-1x", `operation 1 ("0-1x"), character 4: "x": ` + wantFlag},
		{"0-1uu", `operation 1 ("0-1uu"), character 5: "u": ` + wantFlag},
		{"0-1unn", `operation 1 ("0-1unn"), character 6: "n": ` + wantFlag},
		{"0-1 ,1+1", `operation 1 ("0-1 "), character 4: " ": ` + wantFlag},
		{"0-1\n", `operation 1 ("0-1\n"), character 4: "\n": ` + wantFlag},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := semops.Parse(tt.in)
			if err == nil || err.Error() != tt.want {
				t.Errorf("Parse = %+v,\n%v; want\n%s", got, err, tt.want)
			}
		})
	}
}

// What Parse takes Format writes, and Parse reads the same again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0-1un,1+1", "7=0", "65535+32767", "0-1,", "1=1", "0-1nu", "00+01", "0-1uu"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ops, err := semops.Parse(s)
		if err != nil {
			if ops != nil {
				t.Fatalf("Parse(%q) = %v, %v", s, ops, err)
			}
			return
		}
		text := semops.Format(ops...)
		again, err := semops.Parse(text)
		if err != nil || !slices.Equal(ops, again) {
			t.Fatalf("%q is %+v is %q is %+v, %v", s, ops, text, again, err)
		}
	})
}

// Every operation that a semaphore can ever do survives Format and Parse.
func FuzzFormat(f *testing.F) {
	f.Add(uint16(0), int16(-1), true, true)
	f.Add(uint16(65535), int16(0), false, true)
	f.Fuzz(func(t *testing.T, num uint16, add int16, undo, noWait bool) {
		if add == -32768 {
			t.Skip("no semaphore can hold that much")
		}
		want := []sysv.Op{{Num: num, Add: add, Undo: undo, NoWait: noWait}, {Num: num}}
		got, err := semops.Parse(semops.Format(want...))
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%+v is %q is %+v, %v", want, semops.Format(want...), got, err)
		}
	})
}
