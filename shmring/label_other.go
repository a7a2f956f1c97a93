//go:build !linux

package shmring

func bootID() uint64 { return 0 }

func thisProcess() label { return label{} }
