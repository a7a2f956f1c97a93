//go:build !linux

package shmring

import "os"

func clearData([]byte, *os.File, int64) {}
