package units

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int64
	}{
		{"0", 0},
		{"1", 1},
		{"4096", 4096},
		{"10B", 10},
		{"0K", 0},
		{"1K", 1 << 10},
		{"1k", 1 << 10},
		{"1KiB", 1 << 10},
		{"1kib", 1 << 10},
		{"1KB", 1000},
		{"1kb", 1000},
		{"3M", 3 << 20},
		{"3MB", 3_000_000},
		{"2g", 2 << 30},
		{"2GB", 2_000_000_000},
		{"5TiB", 5 << 40},
		{"5TB", 5_000_000_000_000},
		{"1P", 1 << 50},
		{"7E", 7 << 60},
		{"1.5K", 1536},
		{"1.50K", 1536},
		{"0.5K", 512},
		{"1.5GiB", 3 << 29},
		{"1.001KB", 1001},
		{"1.0", 1},
		{"0.0009765625K", 1},
		{"0.00000000000000000000K", 0},
		{"0x1000", 4096},
		{"0X10k", 16 << 10},
		{"0x1B", 27},
		{"0x10MB", 16_000_000},
		{"0x7fffffffffffffff", math.MaxInt64},
		{"9223372036854775807", math.MaxInt64},
	} {
		got, err := ParseSize(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", tt.in, got, err, tt.want)
		}
	}
}

func TestParseSizeErrors(t *testing.T) {
	const (
		syntax   = "want a number of bytes"
		negative = "is negative"
		fraction = "not a whole number of bytes"
		octal    = "begins with 0"
		tooBig   = "too big"
		tooFine  = "decimals"
	)
	for _, tt := range []struct{ in, want string }{
		{"", syntax},
		{" 1", syntax},
		{"1 ", syntax},
		{"1 K", syntax},
		{"+1", syntax},
		{"K", syntax},
		{".5K", syntax},
		{"1.", syntax},
		{"1.K", syntax},
		{"1e3", syntax},
		{"1,5K", syntax},
		{"1_000", syntax},
		{"1KBB", syntax},
		{"1iB", syntax},
		{"1Ki", syntax},
		{"1K1", syntax},
		{"1X", syntax},
		{"1\x0b", syntax}, // K with one bit changed
		{"0x", syntax},
		{"0xg", syntax},
		{"0x1.8K", syntax},
		{"\u0661", syntax}, // a digit, but not ASCII
		{"-1", negative},
		{"-", negative},
		{"1.5", fraction},
		{"1.1K", fraction},
		{"0.1KiB", fraction},
		{"1.0001KB", fraction},
		{"010", octal},
		{"00", octal},
		{"01.5K", octal},
		{"9223372036854775808", tooBig},
		{"0x8000000000000000", tooBig},
		{"18446744073709551616", tooBig},
		{"99999999999999999999999", tooBig},
		{"0xffffffffffffffffff", tooBig},
		{"8E", tooBig},
		{"16E", tooBig},
		{"17E", tooBig},
		{"18014398509481984K", tooBig}, // 2^64
		{"18014398509481985K", tooBig}, // 2^64 + 1024
		{"9.3EB", tooBig},
		{"18446744073709551.999KB", tooBig}, // 2^64 + 383
		{"0.00000000000000000001E", tooFine},
	} {
		got, err := ParseSize(tt.in)
		switch {
		case err == nil:
			t.Errorf("ParseSize(%q) = %d, want an error with %q", tt.in, got, tt.want)
		case got != 0 || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), strconv.Quote(tt.in)):
			t.Errorf("ParseSize(%q) = %d, %q; want 0 and an error that quotes it, with %q", tt.in, got, err, tt.want)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for _, tt := range []struct {
		in   uint64
		want string
	}{
		{0, "0B"},
		{1, "1B"},
		{1023, "1023B"},
		{1024, "1K"},
		{1075, "1K"},
		{1076, "1.1K"},
		{1536, "1.5K"},
		{4096, "4K"},
		{1<<20 - 1, "1024K"},
		{1 << 20, "1M"},
		{1<<30 - 1, "1024M"},
		{3 << 40, "3T"},
		{1<<63 - 1<<58, "7.8E"},
		{18446744073692774399, "16E"}, // the kernel's SHMMAX
		{math.MaxUint64, "16E"},
	} {
		if got := FormatSize(tt.in); got != tt.want {
			t.Errorf("FormatSize(%d) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestParseUint(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit uint64
		want  uint64
		err   string
	}{
		{"0", 10, 0, ""},
		{"10", 10, 10, ""},
		{"007", 10, 7, ""},
		{"18446744073709551615", math.MaxUint64, math.MaxUint64, ""},
		{"11", 10, 0, `count "11" is too big: at most 10`},
		{"18446744073709551616", math.MaxUint64, 0, "too big"},
		{"", 10, 0, `invalid count "": want a decimal number from 0 to 10`},
		{"-1", 10, 0, "invalid count"},
		{"+1", 10, 0, "invalid count"},
		{" 1", 10, 0, "invalid count"},
		{"0x1", 10, 0, "invalid count"},
		{"1_0", 10, 0, "invalid count"},
	} {
		got, err := ParseUint("count", tt.in, tt.limit)
		checkParsed(t, "ParseUint", tt.in, got, tt.want, err, tt.err)
	}
}

func TestParseID(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int
		err  string
	}{
		{"0", 0, ""},
		{"65538", 65538, ""},
		{"2147483647", math.MaxInt32, ""},
		{"2147483648", 0, "too big: at most 2147483647"},
		{"4294967297", 0, "too big"}, // truncated to 32 bits it would be 1
		{"-1", 0, "invalid identifier"},
		{"0x4d2", 0, "invalid identifier"}, // a key
	} {
		got, err := ParseID(tt.in)
		checkParsed(t, "ParseID", tt.in, got, tt.want, err, tt.err)
	}
}

func TestParseMode(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want uint32
		err  string
	}{
		{"0", 0, ""},
		{"600", 0o600, ""},
		{"0644", 0o644, ""},
		{"777", 0o777, ""},
		{"1777", 0, "octal"},
		{"1000", 0, "octal"},
		{"40000000644", 0, "octal"}, // truncated to 32 bits it would be 644
		{"888", 0, "octal"},
		{"", 0, "octal"},
		{"-1", 0, "octal"},
		{"0o600", 0, "octal"},
		{"u+r", 0, "octal"},
	} {
		got, err := ParseMode(tt.in)
		checkParsed(t, "ParseMode", tt.in, got, tt.want, err, tt.err)
	}
}

func TestFormatMode(t *testing.T) {
	for _, tt := range []struct {
		in          uint32
		octal, text string
	}{
		{0, "0", "---------"},
		{0o600, "600", "rw-------"},
		{0o644, "644", "rw-r--r--"},
		{0o777, "777", "rwxrwxrwx"},
		{0o421, "421", "r---w---x"},
		{0o7001, "1", "--------x"},
	} {
		if got := FormatMode(tt.in); got != tt.octal {
			t.Errorf("FormatMode(%#o) = %q, want %q", tt.in, got, tt.octal)
		}
		if got := FormatPermissions(tt.in); got != tt.text {
			t.Errorf("FormatPermissions(%#o) = %q, want %q", tt.in, got, tt.text)
		}
	}
}

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		in   string
		want time.Duration
		err  string
	}{
		{"0", 0, ""},
		{"0s", 0, ""},
		{"90m", 90 * time.Minute, ""},
		{"1h30m", 90 * time.Minute, ""},
		{"1.5h", 90 * time.Minute, ""},
		{"10us", 10 * time.Microsecond, ""},
		{"10µs", 10 * time.Microsecond, ""},
		{"1d", day, ""},
		{"1.5d", 36 * time.Hour, ""},
		{"1d12h", 36 * time.Hour, ""},
		{"2w", 14 * day, ""},
		{"1w1d1h1m1s1ms", 8*day + time.Hour + time.Minute + time.Second + time.Millisecond, ""},
		{"106751d", 106751 * day, ""},
		{"106752d", 0, "292 years"},
		{"15251w", 0, "292 years"},
		{"106751d24h", 0, "too long"},
		{"9223372036854775807w", 0, "292 years"},
		{"-1h", 0, "negative"},
		{"", 0, "invalid"},
		{"1", 0, "invalid"},
		{"1d12", 0, "invalid"},
		{"d", 0, "invalid"},
		{"+1d", 0, "invalid"},
		{"1d-1h", 0, "invalid"},
		{"1 d", 0, "invalid"},
		{"1hd", 0, "invalid"},
		{"1dw", 0, "invalid"},
		{"1y", 0, "invalid"},
		{"1.2.3d", 0, "invalid"},
	} {
		got, err := ParseDuration(tt.in)
		checkParsed(t, "ParseDuration", tt.in, got, tt.want, err, tt.err)
	}
}

// checkParsed compares a parser's result with the expected value, or with an error that
// contains wantErr and quotes in.
func checkParsed[T comparable](t *testing.T, reader, in string, got, want T, err error, wantErr string) {
	t.Helper()
	switch {
	case wantErr == "" && (err != nil || got != want):
		t.Errorf("%s(%q) = %v, %v; want %v", reader, in, got, err, want)
	case wantErr != "" && err == nil:
		t.Errorf("%s(%q) = %v, want an error with %q", reader, in, got, wantErr)
	case wantErr != "" && (!strings.Contains(err.Error(), wantErr) || !strings.Contains(err.Error(), strconv.Quote(in))):
		t.Errorf("%s(%q): error %q; want one that quotes it, with %q", reader, in, err, wantErr)
	}
}
