package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/logind"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
)

// Read collects the facts about this process and the machine. Whatever cannot be read is
// noted in the facts.
func Read() *Facts {
	f := &Facts{
		UID: uint32(os.Geteuid()), ClockKnown: true,
		Refused: sysvipc.Refusals(), SysvipcErr: sysvipc.ProcError(),
		Modules:           setting("/sys/kernel/security/lsm"),
		PtraceScope:       setting("/proc/sys/kernel/yama/ptrace_scope"),
		RmidForced:        setting("/proc/sys/kernel/shm_rmid_forced"),
		MaxUserNamespaces: setting("/proc/sys/user/max_user_namespaces"),
		UnprivilegedClone: setting("/proc/sys/kernel/unprivileged_userns_clone"),
		ApparmorRestricts: setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
		Shm:               readShm(), AddressSpace: addressSpace(),
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		f.Release = unix.ByteSliceToString(name.Release[:])
	}
	const filter = 2 // SECCOMP_MODE_FILTER
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	f.Filtered = err == nil && mode == filter
	f.ProcErr = f.readProc()
	f.readLogind()
	f.Limits, f.LimitsErr = limits.Read(ref.Kinds())
	f.readQueues()
	return f
}

func setting(name string) Setting {
	text, err := os.ReadFile(name)
	return Setting{strings.TrimSpace(string(text)), err}
}

func (f *Facts) readProc() error {
	proc, err := procfs.Open(procfs.Root)
	if err != nil {
		return err
	}
	defer proc.Close()
	if proc.Foreign() {
		return errors.New("it is not a proc file system of this pid namespace")
	}
	if f.IPCNamespace, err = proc.OwnIPCNamespace(); err != nil {
		return err
	}
	pids, err := proc.PIDs()
	if err != nil {
		return err
	}
	status, err := proc.Status(os.Getpid())
	if err != nil {
		return err
	}
	boot, err := proc.BootTime()
	if err != nil {
		return err
	}
	f.Caps, f.AllPIDs, f.InitListed = status.Caps, proc.SeesAllProcesses(), slices.Contains(pids, 1)
	f.HidePID, _ = proc.HidePID() // it only names what InitListed shows
	f.ClockStep, f.ClockKnown = inventory.ClockStep(boot)
	_, f.Hidden, f.HiddenErr = inventory.Namespaces("")
	return nil
}

// readLogind also finds out whose objects logind would remove now.
func (f *Facts) readLogind() {
	system := os.DirFS("/")
	f.LogindRemoves, f.LastSystemUID = logind.Removes(system), logind.LastSystemUser(system)
	if !f.LogindRemoves {
		return
	}
	inv, err := inventory.Collect(inventory.Options{})
	if err != nil {
		return
	}
	names := account.New()
	for i := range inv.Objects {
		uid := inv.Objects[i].Ownership().UID
		if name := names.UserOrID(uid); !logind.SystemUser(system, uid) && !slices.Contains(f.Losers, name) {
			f.Losers = append(f.Losers, name)
		}
	}
	slices.Sort(f.Losers)
}

func (f *Facts) readQueues() {
	for _, err := range inventory.Queues() {
		if err != nil {
			f.QueuesErr = err
		}
	}
	l, err := posix.MqLimits()
	if err == nil {
		f.DefaultQueue = limits.QueueBytes(uint64(l.MsgDefault), uint64(l.MsgSizeDefault))
	}
	f.NoMqueue = errors.Is(err, fs.ErrNotExist) && f.ProcErr == nil
}

func readShm() (s ShmFacts) {
	const dir = "/dev/shm"
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		s.Err = fmt.Errorf("statfs %s: %w", dir, err)
		return s
	}
	s.Tmpfs = int64(st.Type) == unix.TMPFS_MAGIC
	s.WriteErr = unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	return s
}

func addressSpace() uint64 {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_AS, &r) != nil {
		return math.MaxUint64
	}
	return r.Cur
}
