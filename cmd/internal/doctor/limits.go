package doctor

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/limits"
)

// limits returns a finding for each limit that is nearly used up, or one for the fullest.
func (f *Facts) limits() (list []Finding) {
	var fullest *limits.Limit
	for i := range f.Limits {
		l := &f.Limits[i]
		if !l.Counted || l.PerProcess() {
			continue
		}
		if fullest == nil || l.Share() > fullest.Share() {
			fullest = l
		}
		if l.Share() >= limits.High {
			list = append(list, nearly(l))
		}
	}
	if len(list) == 0 && fullest != nil {
		list = append(list, Finding{
			Check: "limits", Found: fullest.Name + " " + share(fullest),
			Meaning: "of no limit are 80 % in use; this is the fullest",
		})
	}
	if f.LimitsErr != nil {
		list = append(list, unchecked("limits", f.LimitsErr))
	}
	return list
}

func share(l *limits.Limit) string { return fmt.Sprintf("%.0f %%", math.Floor(100*l.Share())) }

// nearly is the finding of a limit that is nearly used up.
func nearly(l *limits.Limit) Finding {
	x := Finding{
		Check: "limit " + l.Name, Status: Warn, Found: share(l), Remedy: "gipcs limits --explain",
		Meaning: fmt.Sprintf("%d of %d in use (%s)", l.Use, l.Value, l.About),
	}
	switch {
	case l.Use < l.Value:
	case l.OfOneQueue(): // a full queue makes senders wait, as it should
		x.Meaning += "; senders wait"
	default:
		x.Status = Fail
		x.Meaning += "; programs cannot create more"
	}
	return x
}

// msgQueue reports how many more queues a user can create.
func (f *Facts) msgQueue() Finding {
	const check = "RLIMIT_MSGQUEUE"
	i := slices.IndexFunc(f.Limits, limits.Limit.PerProcess)
	if i < 0 || f.DefaultQueue == 0 {
		return unchecked(check, errors.New("the limits of POSIX message queues cannot be read"))
	}
	l := &f.Limits[i]
	x := Finding{Check: check, Found: "unlimited", Meaning: "any number of POSIX message queues"}
	if l.Unlimited() {
		return x
	}
	x.Found = fmt.Sprintf("%d bytes", l.Value)
	var used uint64
	if l.Counted {
		used = min(l.Use, l.Value)
	}
	room := (l.Value - used) / f.DefaultQueue
	x.Meaning = fmt.Sprintf("a user can create %d more POSIX message queues of the default size", room)
	if room == 1 {
		x.Meaning = "a user can create 1 more POSIX message queue of the default size"
	}
	if room == 0 || l.Counted && l.Share() >= limits.High {
		x.Status = Warn
		x.Remedy = fmt.Sprintf("ulimit -q %d", 2*max(l.Value, 5*f.DefaultQueue))
	}
	return x
}

func (f *Facts) addressSpace() Finding {
	x := Finding{Check: "address space", Found: "unlimited", Meaning: "processes can attach and map as much as the machine has"}
	if (limits.Limit{Value: f.AddressSpace}).Unlimited() {
		return x
	}
	x.Status, x.Found = Warn, fmt.Sprintf("%d KiB", f.AddressSpace>>10)
	x.Meaning = "a process started from here cannot attach or map more than that (RLIMIT_AS)"
	x.Remedy = "ulimit -v unlimited"
	return x
}
