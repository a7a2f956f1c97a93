//go:build !linux

package shmring

type vigil struct{}

func (*vigil) keep([]int, func()) bool { return false }

func (*vigil) end() {}
