package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/posix"
)

func (f *Facts) devShm() Finding {
	x := Finding{Check: "/dev/shm", Found: "tmpfs", Meaning: "POSIX shared memory and named semaphores work"}
	switch s := &f.Shm; {
	case errors.Is(s.Err, fs.ErrNotExist):
		x.Status, x.Found = Fail, "missing"
		x.Meaning = "no program can create POSIX shared memory or named semaphores"
		x.Remedy = "mkdir -p /dev/shm && mount -t tmpfs -o mode=1777 tmpfs /dev/shm"
	case s.Err != nil:
		return unchecked(x.Check, s.Err)
	case !s.Tmpfs:
		x.Status, x.Found = Warn, "not a tmpfs"
		x.Meaning = "POSIX shared memory is on a disk, and gipcs does not accept it in other user namespaces"
		x.Remedy = "mount -t tmpfs -o mode=1777 tmpfs /dev/shm"
	case s.WriteErr != nil:
		x.Status, x.Found = Warn, explanation(s.WriteErr)
		x.Meaning = "you cannot create POSIX shared memory or named semaphores"
		x.Remedy = "mount -o remount,rw,mode=1777 /dev/shm"
	}
	return x
}

func (f *Facts) devMqueue() Finding {
	x := Finding{Check: "/dev/mqueue", Found: "mounted", Meaning: "POSIX message queues can be listed"}
	const mount = "mount -t mqueue none /dev/mqueue"
	switch err := f.QueuesErr; {
	case f.NoMqueue:
		x.Status, x.Found = Warn, "not in this kernel"
		x.Meaning, x.Remedy = "no program can create POSIX message queues", "boot a kernel with CONFIG_POSIX_MQUEUE"
	case errors.Is(err, inventory.ErrForeignQueues):
		x.Status, x.Found, x.Remedy = Warn, "another namespace", mount
		x.Meaning = "it shows the queues of another IPC namespace, so those of this one cannot be listed"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, posix.ErrNotMounted):
		x.Status, x.Found, x.Remedy = Warn, "not mounted", mount
		if errors.Is(err, fs.ErrNotExist) {
			x.Remedy = "mkdir /dev/mqueue && " + mount
		}
		x.Meaning = "programs can use POSIX message queues, but gipcs cannot list them"
	case err != nil:
		return unchecked(x.Check, err)
	}
	return x
}

func (f *Facts) clock() Finding {
	const slack = 2 * time.Second
	x := Finding{Check: "clock", Found: "not set forward", Meaning: "times of objects can be compared with the starts of processes"}
	switch {
	case f.ProcErr != nil:
		return unchecked(x.Check, errNoProc)
	case f.ClockStep > slack:
		x.Status, x.Found = Warn, "ahead by "+string(units.AppendDuration(nil, f.ClockStep))
		x.Meaning = "the clock was set forward or the machine suspended since the boot; processes may be older than they seem, and more verdicts are unknown"
		x.Remedy = "hwclock --systohc, then reboot"
	case !f.ClockKnown:
		return unchecked(x.Check, errors.New("/dev does not tell when the machine was booted"))
	}
	return x
}

func (f *Facts) rmidForced() Finding {
	x := Finding{Check: "shm_rmid_forced", Found: "0", Meaning: "segments outlive the processes that use them"}
	switch s := f.RmidForced; {
	case s.absent() && f.ProcErr == nil: // before Linux 3.1
	case s.Err != nil:
		return unchecked(x.Check, s.Err)
	case s.Value != "0":
		x.Status, x.Found, x.Remedy = Warn, s.Value, "sysctl -w kernel.shm_rmid_forced=0"
		x.Meaning = "the kernel destroys a segment at its last detach, so gipcs cannot save segments before it removes them"
	}
	return x
}

// logind reports RemoveIPC, the usual reason why objects vanish.
func (f *Facts) logind() Finding {
	x := Finding{Check: "logind RemoveIPC", Found: "off", Meaning: "objects stay when their owner logs out"}
	if !f.LogindRemoves {
		return x
	}
	x.Status, x.Found = Warn, "yes"
	x.Meaning = fmt.Sprintf("systemd-logind removes all objects of a user above uid %d when that user's last session ends; system users may keep theirs", f.LastSystemUID)
	if len(f.Losers) > 0 {
		x.Meaning += "; now there are objects of " + few(f.Losers)
	}
	x.Remedy = "set RemoveIPC=no in /etc/systemd/logind.conf, reboot"
	return x
}

// few names the first few of a list.
func few(list []string) string {
	const most = 3
	if n := len(list); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), n-most)
	}
	return strings.Join(list, ", ")
}

const noCall = "the kernel has no such call"

// explanation returns the system's text for an error.
func explanation(err error) string {
	var errno syscall.Errno
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return noCall
	case errors.As(err, &errno):
		return errno.Error()
	default:
		return err.Error()
	}
}
