//go:build !linux

package removal

func mayRemoveAll() bool { return true }

func mayUnlinkAll() bool { return true }
