//go:build !linux

package shmring

func monotonic() int64 { return 0 }
