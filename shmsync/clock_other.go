//go:build !linux

package shmsync

func monotonic() uint64 { return 0 }
