package ipctest

import (
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// NeedOtherUsers skips a test that becomes another user, if it is not root or there is
// nobody else in its user namespace.
func NeedOtherUsers(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	const all = "4294967295" // numbers, as the first user namespace has
	if users, err := os.ReadFile("/proc/self/uid_map"); err != nil || !strings.Contains(string(users), all) {
		t.Skip("there is nobody else in this user namespace")
	}
}

// UnderRace tells whether the race detector is part of this program.
func UnderRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
