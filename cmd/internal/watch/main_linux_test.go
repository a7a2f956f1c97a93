package watch_test

import (
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
)

func TestMain(m *testing.M) { ipctest.MainPOSIX(m) }
