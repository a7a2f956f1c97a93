//go:build !linux

package shmring

func thisSystem() system { return system{} }

func ended(int, uint64) bool { return false }
