package doctor

import (
	"fmt"
	"strconv"
	"strings"
)

func (f *Facts) proc() Finding {
	x := Finding{Check: "/proc", Found: "mounted", Meaning: "users of objects can be found"}
	if f.ProcErr != nil {
		x.Status, x.Found, x.Remedy = Fail, "unusable", "mount -t proc proc /proc"
		x.Meaning = "the users of objects, verdicts and sysctls are unknown: " + f.ProcErr.Error()
	}
	return x
}

func (f *Facts) pidNamespace() Finding {
	x := Finding{Check: "pid namespace", Found: "initial", Meaning: "every process of the machine has an id here"}
	switch {
	case f.ProcErr != nil:
		return unchecked(x.Check, errNoProc)
	case !f.AllPIDs:
		x.Status, x.Found = Warn, "not the initial one"
		x.Meaning = "processes outside are not visible; they may use queues and POSIX objects, whose verdicts are then unknown"
		x.Remedy = "on the host: gipcs ls -A"
	}
	return x
}

func (f *Facts) hidePID() Finding {
	x := Finding{Check: "hidepid", Found: "off", Meaning: "/proc lists all processes"}
	if f.ProcErr != nil {
		return unchecked(x.Check, errNoProc)
	}
	if f.HidePID != "" && f.HidePID != "0" && f.HidePID != "off" {
		x.Found = "hidepid=" + f.HidePID
	}
	if !f.InitListed {
		x.Status = Warn
		x.Meaning = "/proc does not list all processes; unseen ones may use queues and POSIX objects, whose verdicts are then unknown"
		x.Remedy = f.asRoot("CAP_SYS_PTRACE") + " or mount -o remount,hidepid=0 /proc"
	}
	return x
}

func (f *Facts) processes() Finding {
	const check = "processes"
	n := len(f.Hidden.Processes)
	switch {
	case f.ProcErr != nil:
		return unchecked(check, errNoProc)
	case f.HiddenErr != nil:
		return unchecked(check, f.HiddenErr)
	case n == 0:
		return Finding{Check: check, Found: "all inspected", Meaning: "every listed process can be inspected"}
	}
	others := 0
	for i := range f.Hidden.Processes {
		if p := &f.Hidden.Processes[i]; p.Credentials == nil || p.UID != f.UID {
			others++
		}
	}
	x := Finding{Check: check, Status: Warn, Found: fmt.Sprintf("%d hidden", n), Remedy: f.asRoot("CAP_SYS_PTRACE")}
	named := f.Hidden
	named.Unlisted, named.Fleeting = false, false // reported by hidePID
	var why []string
	switch {
	case f.has(capSysPtrace):
		why = append(why, f.guards())
		x.Remedy = "ausearch -m avc -ts recent"
	case others > 0:
		why = append(why, fmt.Sprintf("%d of other users, which takes CAP_SYS_PTRACE", others))
	}
	if own := n - others; own > 0 && !f.has(capSysPtrace) {
		why = append(why, fmt.Sprintf("%d of your own that have more rights than gipcs or are not dumpable, or %s", own, f.guards()))
	}
	x.Meaning = named.String() + "; " + strings.Join(why, "; ") + "; what they may use is unknown, not an orphan"
	return x
}

// guards describes what can keep even root from inspecting a process.
func (f *Facts) guards() string {
	if f.Modules.Err != nil || f.Modules.Value == "" {
		return "guarded by another user namespace or a security module"
	}
	return "guarded by another user namespace or a security module (" + f.Modules.Value + ")"
}

// ptraceScope reports the setting of Yama, which restricts reading a thread's system call
// and memory, but not its mappings and descriptors.
func (f *Facts) ptraceScope() Finding {
	x := Finding{Check: "ptrace_scope", Found: "off", Meaning: "what threads wait for can be read"}
	switch {
	case f.ProcErr != nil:
		return unchecked(x.Check, errNoProc)
	case f.PtraceScope.absent():
		return x
	case f.PtraceScope.Err != nil:
		return unchecked(x.Check, f.PtraceScope.Err)
	}
	scope, err := strconv.Atoi(f.PtraceScope.Value)
	if err != nil {
		return unchecked(x.Check, err)
	}
	x.Found = strconv.Itoa(scope)
	const unseen = "which semaphore or queue a thread waits on cannot be read"
	switch {
	case scope >= 3:
		x.Status, x.Meaning = Warn, unseen+", not even by root"
		x.Remedy = "set kernel.yama.ptrace_scope=0 in /etc/sysctl.d, reboot"
	case scope > 0 && !f.has(capSysPtrace):
		x.Status, x.Meaning = Warn, unseen+", not even of your own processes"
		x.Remedy = f.asRoot("CAP_SYS_PTRACE") + " or sysctl -w kernel.yama.ptrace_scope=0"
	}
	return x
}

// initialIPC is the inode number of the initial IPC namespace.
const initialIPC = 0xEFFFFFFF

func (f *Facts) ipcNamespace() Finding {
	x := Finding{Check: "IPC namespace", Found: "initial", Meaning: "gipcs shows the objects of the host"}
	switch {
	case f.ProcErr != nil:
		return unchecked(x.Check, errNoProc)
	case f.IPCNamespace != initialIPC:
		x.Status, x.Found = Warn, strconv.FormatUint(f.IPCNamespace, 10)
		x.Meaning = "gipcs shows the objects of this IPC namespace only; -A shows those of every one that can be entered"
		x.Remedy = "gipcs ls -A"
	}
	return x
}

func (f *Facts) capability() Finding {
	x := Finding{Check: "other namespaces", Found: "CAP_SYS_ADMIN", Meaning: "-N and -A can enter other namespaces"}
	switch {
	case f.ProcErr != nil:
		return unchecked(x.Check, errNoProc)
	case !f.has(capSysAdmin):
		x.Status, x.Found = Warn, "no CAP_SYS_ADMIN"
		x.Meaning = "-N and -A can enter no other namespaces than those of your own rootless containers"
		x.Remedy = f.asRoot("CAP_SYS_ADMIN")
	}
	return x
}

func (f *Facts) userNamespaces() Finding {
	x := Finding{Check: "user namespaces", Found: "on", Meaning: "users can create rootless containers"}
	if f.ProcErr != nil {
		return unchecked(x.Check, errNoProc)
	}
	for _, s := range []struct {
		name, off, on string
		set           Setting
	}{
		{"user.max_user_namespaces", "0", "15000", f.MaxUserNamespaces},
		{"kernel.unprivileged_userns_clone", "0", "1", f.UnprivilegedClone},
		{"kernel.apparmor_restrict_unprivileged_userns", "1", "0", f.ApparmorRestricts},
	} {
		switch {
		case s.set.absent():
			if s.name == "user.max_user_namespaces" && x.Status == OK { // since Linux 4.9
				x.Status, x.Found, x.Meaning = Unknown, "not known", "the kernel has no sysctl "+s.name
			}
		case s.set.Err != nil:
			return unchecked(x.Check, s.set.Err)
		case s.set.Value == s.off:
			x.Status, x.Found = Warn, "off"
			x.Meaning = "users cannot create rootless containers, nor gipcs -N enter them without root"
			x.Remedy = fmt.Sprintf("sysctl -w %s=%s", s.name, s.on)
		}
	}
	return x
}
