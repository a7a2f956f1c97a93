package procfs

import (
	"encoding/binary"
	"errors"
	"testing"
)

// vector returns an auxiliary vector of a 32-bit or 64-bit program.
func vector(bits int, words ...uint64) string {
	var b []byte
	for _, w := range words {
		if bits == 64 {
			b = binary.NativeEndian.AppendUint64(b, w)
		} else {
			b = binary.NativeEndian.AppendUint32(b, uint32(w))
		}
	}
	return string(b)
}

func TestParseBits(t *testing.T) {
	for _, words := range [][]uint64{
		{33, 0xf7fc1000, 16, 0xbfebfbff, 6, 4096, 17, 100, 3, 0x8048034, 25, 0xff8d2f1b, 0, 0},
		{6, 65536, 0, 0},
		{33, 0, 6, 4096, 23, 0, 0, 0, 0, 0}, // padded, and with values that are 0
	} {
		for _, bits := range []int{32, 64} {
			text := vector(bits, words...)
			if got, err := ParseBits([]byte(text)); got != bits || err != nil {
				t.Errorf("%x, of %d bits: %d, %v", text, bits, got, err)
			}
		}
	}
	whole := vector(64, 33, 0x7fff12345000, 6, 4096, 0, 0)
	for i := range len(whole) {
		if got, err := ParseBits([]byte(whole[:i])); !errors.Is(err, ErrFormat) {
			t.Errorf("%x: %d, %v", whole[:i], got, err)
		}
	}
	for _, bad := range []string{"#!/bin/sh\n", vector(64, 0, 0), vector(32, 6, 1, 0, 0), vector(64, 1<<40, 5, 6, 4096, 0, 0)} {
		if got, err := ParseBits([]byte(bad)); !errors.Is(err, ErrFormat) {
			t.Errorf("%x: %d, %v", bad, got, err)
		}
	}
}
