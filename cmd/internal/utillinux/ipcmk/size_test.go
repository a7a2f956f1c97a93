package ipcmk

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"syscall"
	"testing"
)

func TestParseSize(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want uint64
		err  error
	}{
		{"0", 0, nil},
		{" +12", 12, nil},
		{"010", 8, nil},
		{"0x10", 16, nil},
		{"1K", 1 << 10, nil},
		{"1kiB", 1 << 10, nil},
		{"1KB", 1000, nil},
		{"1.25M", 1310720, nil},
		{"0.3kb", 300, nil},
		{"1.05KB", 1050, nil},
		{"0.99999999999999999999999K", 1023, nil},
		{"0Y", 0, nil},
		{"0.0Z", 0, nil},
		{"15E", 15 << 60, nil},
		{"18446744073709551615", math.MaxUint64, nil},
		{"", 0, syscall.EINVAL},
		{"K", 0, syscall.EINVAL},
		{"-1", 0, syscall.EINVAL},
		{"1B", 0, syscall.EINVAL},
		{"1.5", 0, syscall.EINVAL},
		{"1KiBx", 0, syscall.EINVAL},
		{"1Ki", 0, syscall.EINVAL},
		{"1 K", 0, syscall.EINVAL},
		{"1!", 0, syscall.EINVAL},
		{"16E", 0, syscall.ERANGE},
		{"1Z", 0, syscall.ERANGE},
		{"0.1Y", 0, syscall.ERANGE},
		{"18446744073709551616", 0, syscall.ERANGE},
		{"18014398509481984K", 0, syscall.ERANGE},
	} {
		got, err := parseSize(tt.in)
		if !errors.Is(err, tt.err) || err == nil && got != tt.want {
			t.Errorf("parseSize(%q) = %d, %v; want %d, %v", tt.in, got, err, tt.want, tt.err)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("1.25", "M")
	f.Add("15.99999999999999999999", "E")
	f.Fuzz(func(t *testing.T, number, unit string) {
		got, err := parseSize(number + unit)
		if err != nil || unit == "" || strings.ContainsAny(unit[:1], "0123456789.xX") || strings.Trim(number, "0123456789.") != "" || len(number) > 1 && number[0] == '0' && number[1] != '.' {
			return
		}
		exact, ok := new(big.Rat).SetString(number)
		if !ok || strings.Contains(number, "/") {
			return
		}
		base := int64(1024)
		if len(unit) == 2 {
			base = 1000
		}
		power := strings.IndexByte("KMGTPEZY", strings.ToUpper(unit)[0]) + 1
		factor := new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(power)), nil)
		exact.Mul(exact, new(big.Rat).SetInt(factor))
		want := new(big.Int).Quo(exact.Num(), exact.Denom())
		if !want.IsUint64() || want.Uint64() != got {
			t.Fatalf("parseSize(%q) = %d, big numbers make it %s", number+unit, got, want)
		}
	})
}
