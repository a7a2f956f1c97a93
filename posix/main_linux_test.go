package posix_test

import (
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{
		"child":              playChild,
		"consume":            playConsume,
		"change directories": playChangeDirectories,
		"limited":            playLimited,
		"create":             playCreate,
		"lock":               playLock,
		"open":               playOpen,
		"receive limited":    playReceiveLimited,
		"wait":               playWait,
	})
	ipctest.MainPOSIX(m)
}
