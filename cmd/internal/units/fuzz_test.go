package units

import (
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
)

// exactSize computes a decimal size with big numbers, as a reference.
func exactSize(mantissa string, factor uint64) (size int64, ok bool) {
	r, valid := new(big.Rat).SetString(mantissa)
	if !valid {
		return 0, false
	}
	r.Mul(r, new(big.Rat).SetUint64(factor))
	return r.Num().Int64(), r.IsInt() && r.Num().IsInt64()
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"0", "1.5GiB", "0x10K", "010", "-1", "8E", "9.223372036854775807EB", "1e3", "17E", "1.1K"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseSize(s)
		if got < 0 || err != nil && got != 0 {
			t.Fatalf("ParseSize(%q) = %d, %v", s, got, err)
		}
		if err != nil {
			if !strings.Contains(err.Error(), strconv.Quote(s)) {
				t.Fatalf("ParseSize(%q): the error %q does not quote it", s, err)
			}
			return
		}
		if hasHexPrefix(s) {
			return
		}
		unit := strings.TrimLeft(s, "0123456789.")
		factor, _ := unitFactor(unit)
		want, ok := exactSize(strings.TrimSuffix(s, unit), factor)
		if !ok || got != want {
			t.Fatalf("ParseSize(%q) = %d, big numbers make it %d, %t", s, got, want, ok)
		}
	})
}

func FuzzFormatSize(f *testing.F) {
	for _, n := range []uint64{0, 1023, 1024, 1076, 1<<20 - 1, 1 << 63, 1<<64 - 1} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n uint64) {
		s := FormatSize(n)
		mantissa, unit := s[:len(s)-1], s[len(s)-1:]
		factor, ok := unitFactor(unit)
		if !ok {
			t.Fatalf("FormatSize(%d) = %q: unknown unit", n, s)
		}
		// |mantissa*factor - n| is at most half of a tenth of the unit.
		diff, ok := new(big.Rat).SetString(mantissa)
		if !ok {
			t.Fatalf("FormatSize(%d) = %q: not a number", n, s)
		}
		unitSize := new(big.Rat).SetUint64(factor)
		diff.Mul(diff, unitSize).Sub(diff, new(big.Rat).SetUint64(n))
		if diff.Abs(diff).Cmp(unitSize.Mul(unitSize, big.NewRat(1, 20))) > 0 {
			t.Fatalf("FormatSize(%d) = %q: off by %s bytes", n, s, diff.FloatString(1))
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"0", "1d12h", "1.5w", "90m", "-1h", "106751d24h", "1d-1h", "1µs"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseDuration(s)
		if got < 0 || err != nil && got != 0 {
			t.Fatalf("ParseDuration(%q) = %d, %v", s, got, err)
		}
		// A duration that the standard library accepts must give the same result.
		std, stdErr := time.ParseDuration(s)
		if stdErr == nil && std >= 0 && s[0] != '+' && s[0] != '-' && (err != nil || got != std) {
			t.Fatalf("ParseDuration(%q) = %d, %v; time.ParseDuration makes it %d", s, got, err, std)
		}
	})
}

func FuzzParseMode(f *testing.F) {
	f.Add("0644")
	f.Add("40000000644")
	f.Fuzz(func(t *testing.T, s string) {
		mode, err := ParseMode(s)
		if mode > 0o777 || err != nil && mode != 0 {
			t.Fatalf("ParseMode(%q) = %#o, %v", s, mode, err)
		}
		if err == nil && FormatMode(mode) != strings.TrimLeft(s[:len(s)-1], "0")+s[len(s)-1:] {
			t.Fatalf("ParseMode(%q) = %#o", s, mode)
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add("65538")
	f.Add("4294967297")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if id < 0 || id > 1<<31-1 || err != nil && id != 0 {
			t.Fatalf("ParseID(%q) = %d, %v", s, id, err)
		}
		if err == nil && strconv.Itoa(id) != strings.TrimLeft(s[:len(s)-1], "0")+s[len(s)-1:] {
			t.Fatalf("ParseID(%q) = %d", s, id)
		}
	})
}
