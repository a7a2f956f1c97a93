//go:build unix

package backup

import (
	"io/fs"
	"os"
	"syscall"
)

func ownedByCaller(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}
