package ipctest

import (
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// NeedOtherUsers skips a test that becomes another user, unless it is root in a user
// namespace that maps all users.
func NeedOtherUsers(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	const all = "4294967295" // uids in the initial user namespace
	if users, err := os.ReadFile("/proc/self/uid_map"); err != nil || !strings.Contains(string(users), all) {
		t.Skip("there is nobody else in this user namespace")
	}
}

// User returns the number of a user without processes, except the ones this program
// starts. Each n, 0 to 15, gives a different user.
func User(n int) int {
	const base = 1 << 30 // above all numbers given to people, services and containers
	return base + os.Getpid()<<4 + n
}

// UnderRace reports whether this program has the race detector.
func UnderRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
