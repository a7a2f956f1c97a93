package doctor

import (
	"fmt"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
)

// A version is the version of a kernel.
type version struct{ major, minor int }

func (v version) before(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// lacks returns what older kernels lack, oldest first, as in section KERNELS of gipcs(1).
func lacks() []struct {
	since version
	what  string
} {
	return []struct {
		since version
		what  string
	}{
		{version{3, 8}, "the users of objects and verdicts"},
		{version{4, 11}, "the boot time that the clock showed at boot, so a clock set since goes unnoticed"},
		{version{4, 17}, "the size limit of a queue that the caller may not read"},
		{version{5, 3}, "who has a POSIX object open, so that an unused one may seem in use"},
		{version{5, 12}, "the /dev/shm of other mount namespaces"},
	}
}

func (f *Facts) kernel() Finding {
	x := Finding{Check: "kernel", Found: f.Release}
	var v version
	if _, err := fmt.Sscanf(f.Release, "%d.%d", &v.major, &v.minor); err != nil {
		return unchecked(x.Check, fmt.Errorf("%q is no version", f.Release))
	}
	var missing []string
	for _, l := range lacks() {
		if v.before(l.since) {
			missing = append(missing, l.what)
			x.Status, x.Remedy = Warn, "boot Linux "+l.since.String()+" or later"
		}
	}
	x.Meaning = "has everything that gipcs uses"
	if len(missing) > 0 {
		x.Meaning = "does not report " + strings.Join(missing, "; ")
	}
	return x
}

// calls reports refused commands of shmctl, semctl and msgctl.
func (f *Facts) calls() Finding {
	x := Finding{Check: "System V calls", Found: "allowed", Meaning: "IPC_INFO, *_INFO and *_STAT_ANY work"}
	if len(f.Refused) == 0 {
		return x
	}
	first := f.Refused[0]
	x.Found, x.Status = fmt.Sprintf("%d of 9 refused", len(f.Refused)), Warn
	x.Meaning = fmt.Sprintf("the kernel refuses %s: gipcs reads /proc/sysvipc instead, and the size limits of some queues may be unknown", calls(f.Refused))
	if f.SysvipcErr != nil {
		x.Status = Fail
		x.Meaning = fmt.Sprintf("the kernel refuses %s, and /proc/sysvipc cannot be read: only objects that you may read are listed", calls(f.Refused))
	}
	switch {
	case f.Filtered:
		x.Meaning += "; the seccomp profile must allow shmctl, semctl and msgctl"
		x.Remedy = "docker run --security-opt seccomp=FILE"
	case explanation(first.Err) == noCall:
		x.Remedy = "boot Linux 4.17 or later, with CONFIG_SYSVIPC"
	default:
		x.Remedy = "ausearch -m avc -ts recent"
	}
	return x
}

// calls names the refused commands, by error.
func calls(refused []sysvipc.Refusal) string {
	var order []string
	byError := make(map[string][]string)
	for _, r := range refused {
		why := explanation(r.Err)
		if byError[why] == nil {
			order = append(order, why)
		}
		byError[why] = append(byError[why], r.Call)
	}
	var parts []string
	for _, why := range order {
		parts = append(parts, fmt.Sprintf("%s (%s)", strings.Join(byError[why], ", "), why))
	}
	return strings.Join(parts, ", ")
}
