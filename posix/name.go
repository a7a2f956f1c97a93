package posix

import (
	"fmt"
	"strings"

	"github.com/sysvipc/gipc/internal/abi"
)

// The directories in which Linux keeps the objects. The C libraries have the same paths
// built in.
const (
	shmDir   = "/dev/shm"
	queueDir = "/dev/mqueue"
)

// semPrefix begins the file name of a named semaphore.
const semPrefix = "sem."

const maxName = 255 // NAME_MAX

// fileName returns the file name, prefix included, for an object's name. The leading slash
// is optional, as in shm_open(3) of the GNU C library.
func fileName(prefix, name string) (string, error) {
	base := strings.TrimPrefix(name, "/")
	file := prefix + base
	switch {
	case base == "":
		return "", refused("the name is empty")
	case strings.Contains(base, "/"):
		return "", refused("a slash is allowed only at the beginning of the name")
	case strings.Contains(base, "\x00"):
		return "", refused("the name holds a NUL byte")
	case file == "." || file == "..":
		return "", refused("the name is taken by the directory")
	case len(file) > maxName:
		return "", fmt.Errorf("%w: %d bytes, %d are allowed", abi.ENAMETOOLONG, len(base), maxName-len(prefix))
	}
	return file, nil
}
