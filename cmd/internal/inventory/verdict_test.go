package inventory

import (
	"encoding/json"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

var (
	now   = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	alive = Actor{Role: Creator, PID: 7, State: Alive, Process: &Process{PID: 7, Comm: "app"}}
	gone  = Actor{Role: User, PID: 8, State: Gone}
	taken = Actor{Role: Creator, PID: 9, State: Reused, Process: &Process{PID: 9, Comm: "sshd"}}
	dark  = Actor{Role: Sender, State: Unseen, Why: "it is dark"}
	none  = Actor{Role: Receiver}
)

// twoHidden holds two processes that may not be inspected.
var twoHidden = Hidden{Processes: []HiddenProcess{
	{Process: &Process{PID: 8, Comm: "systemd"}, Why: syscall.EACCES},
	{Process: &Process{PID: 9}, Why: syscall.EACCES},
}}

// testimony is a witness that says the same about every object.
type testimony struct {
	serverIs *Process
	holds    Reason
	runs     Reason
	isNamed  *Process
	left     Answer
	open     string // "no", "yes", "" for not known
}

func (w testimony) server(*Object) *Process         { return w.serverIs }
func (w testimony) holder(*Object) Reason           { return w.holds }
func (w testimony) job(*Object) Reason              { return w.runs }
func (w testimony) named(*Object) *Process          { return w.isNamed }
func (w testimony) ownerLeft(*Object) Answer        { return w.left }
func (w testimony) opened(*Object) (is, known bool) { return w.open == "yes", w.open != "" }

func TestJudge(t *testing.T) {
	with := func(w testimony, change func(*evidence)) evidence {
		ev := evidence{now: now, waiters: true, seesAll: true, hidden: &Hidden{}, witness: w}
		if change != nil {
			change(&ev)
		}
		return ev
	}
	all := with(testimony{}, nil)
	outside := with(testimony{}, func(ev *evidence) { ev.seesAll = false })
	partly := with(testimony{}, func(ev *evidence) { ev.hidden = &twoHidden })
	partlyIdle := with(testimony{}, func(ev *evidence) { ev.hidden, ev.idle, ev.seesAll = &twoHidden, true, false })
	unlisted := with(testimony{}, func(ev *evidence) { ev.hidden = &Hidden{Unlisted: true} })
	blind := with(testimony{}, func(ev *evidence) { ev.proc = errors.New("no /proc") })
	unlooked := with(testimony{}, func(ev *evidence) { ev.waiters = false })
	messages := with(testimony{}, func(ev *evidence) { ev.messages = true })
	served := with(testimony{serverIs: alive.Process}, nil)
	held := with(testimony{holds: Reason{Code: OwnerAlive}}, nil)
	inJob := with(testimony{runs: Reason{Code: JobRunning}, left: No}, nil)
	ownerless := with(testimony{left: No}, nil)
	ownerlessHeld := with(testimony{left: No, holds: Reason{Code: RootAlive}}, nil)
	ownerLeft := with(testimony{left: Yes}, nil)
	named := with(testimony{isNamed: alive.Process}, nil)
	leased := with(testimony{open: "no"}, func(ev *evidence) { ev.hidden, ev.seesAll = &twoHidden, false })
	refused := with(testimony{open: "yes"}, func(ev *evidence) { ev.hidden = &twoHidden })
	xServer := Actor{Role: User, PID: 7, State: Alive, XServer: true, Process: &Process{PID: 7, Comm: "Xvfb"}}
	segment := func(nattch uint64, dest bool) Object {
		return Object{Kind: ref.Shm, Segment: &sysv.SegmentInfo{NAttch: nattch, Dest: dest, CTime: now.Add(-time.Hour)}}
	}
	set := Object{Kind: ref.Sem, Set: &sysv.SetInfo{NSems: 1}}
	queue := Object{Kind: ref.Msg, Queue: &sysv.QueueInfo{}}
	full := Object{Kind: ref.Msg, Queue: &sysv.QueueInfo{QNum: 2}}
	public := Object{Kind: ref.Msg, Queue: &sysv.QueueInfo{Perm: sysv.Perm{Mode: 0o622}}}
	private := Object{Kind: ref.Msg, Queue: &sysv.QueueInfo{Perm: sysv.Perm{Mode: 0o600, UID: 5, CUID: 5}}}
	object := Object{Kind: ref.PShm, PShm: &posix.FileInfo{}}
	lock := Object{Kind: ref.PSem, PSem: &posix.SemaphoreInfo{}}
	mqueue := Object{Kind: ref.PMsg, PMsg: &posix.QueueInfo{Known: true}}
	fullMQ := Object{Kind: ref.PMsg, PMsg: &posix.QueueInfo{Known: true, Attributes: posix.Attributes{CurMsgs: 1}}}
	darkMQ := Object{Kind: ref.PMsg, PMsg: &posix.QueueInfo{}}
	stranger := with(testimony{}, func(ev *evidence) {
		ev.hidden = &Hidden{Processes: []HiddenProcess{{Process: &Process{PID: 8}, Credentials: &procfs.Credentials{UIDs: [4]uint32{9, 9, 9, 9}}}}}
	})
	calm, waited := []Semaphore{{}}, []Semaphore{{NCount: 1}, {ZCount: 1}}
	tests := []struct {
		name    string
		object  Object
		use     Use
		ev      evidence
		want    Verdict
		reasons string
	}{
		{"segment with users", segment(2, false), Use{Actors: []Actor{gone, gone}}, all, InUse, "attached process-gone process-gone age"},
		{"segment with users nobody sees", segment(2, false), Use{HiddenAttachments: 2}, partly, InUse, "attached never-used age"},
		{"removed segment", segment(1, true), Use{Actors: []Actor{gone}}, all, InUse, "marked attached process-gone age"},
		{"segment of a living maker", segment(0, false), Use{Actors: []Actor{alive, gone}}, all, Idle, "not-attached process-alive process-gone age"},
		{"segment of a living user", segment(0, false), Use{Actors: []Actor{gone, alive}}, all, Idle, "not-attached process-gone process-alive age"},
		{"segment of nobody", segment(0, false), Use{Actors: []Actor{gone, gone}}, partly, Orphan, "not-attached process-gone process-gone age"},
		{"segment that nobody attached", segment(0, false), Use{Actors: []Actor{gone, none}}, all, Orphan, "not-attached process-gone age"},
		{"segment of a reused id", segment(0, false), Use{Actors: []Actor{taken, gone}}, all, Orphan, "not-attached process-reused process-gone age"},
		{"segment of a server's child", segment(0, false), Use{Actors: []Actor{gone, gone}}, served, Unknown, "not-attached process-gone process-gone server-alive age"},
		{"segment of another pid namespace", segment(0, false), Use{Actors: []Actor{dark, gone}}, all, Unknown, "not-attached process-unseen process-gone age"},
		{"segment without /proc", segment(0, false), Use{Actors: []Actor{gone}}, blind, Unknown, "not-attached proc-unreadable age"},
		{"attached without /proc", segment(1, false), Use{}, blind, InUse, "attached proc-unreadable age"},

		{"set with waiters", set, Use{Semaphores: waited, Actors: []Actor{gone}}, all, InUse, "waiting process-gone age"},
		{"set with a waiter that came later", set, Use{Semaphores: calm, Waiting: []Waiter{{Process: alive.Process}}}, all, InUse, "waiting never-used age"},
		{"set of a living user", set, Use{Semaphores: calm, Actors: []Actor{gone, alive}}, all, Idle, "not-waiting process-gone process-alive age"},
		{"set of nobody", set, Use{Semaphores: calm, Actors: []Actor{gone, none}}, partly, Orphan, "not-waiting process-gone age"},
		{"set of one nobody and one in the dark", set, Use{Semaphores: calm, Actors: []Actor{gone, dark}}, all, Unknown, "not-waiting process-gone process-unseen age"},
		{"set that was never used", set, Use{Semaphores: calm, Actors: []Actor{none}}, all, Unknown, "not-waiting never-used age"},
		{"set that may not be read", set, Use{}, all, Unknown, "not-readable age"},

		{"queue with waiters", queue, Use{Waiting: []Waiter{{Process: alive.Process}}, Actors: []Actor{gone, gone}}, all, InUse, "waiting process-gone process-gone age"},
		{"queue of a living user", queue, Use{Actors: []Actor{gone, alive}}, all, Idle, "process-gone process-alive age"},
		{"queue of nobody", queue, Use{Actors: []Actor{gone, none}}, all, Orphan, "process-gone not-waiting age"},
		{"queue of nobody, as far as one sees", queue, Use{Actors: []Actor{gone, gone}}, partly, Unknown, "process-gone process-gone process-hidden age"},
		{"queue of nobody, if those count for none", queue, Use{Actors: []Actor{gone, gone}}, partlyIdle, Orphan, "process-gone process-gone not-waiting age"},
		{"queue whose waiters were not looked up", queue, Use{Actors: []Actor{gone, gone}}, unlooked, Unknown, "process-gone process-gone process-hidden age"},
		{"object that is mapped", object, Use{Mapped: []Mapper{{Process: alive.Process}}, Open: []Opener{{Process: alive.Process}}}, partly, InUse, "mapped open age"},
		{"semaphore that is mapped", lock, Use{Mapped: []Mapper{{Process: alive.Process}}}, outside, InUse, "mapped age"},
		{"POSIX queue that is open", mqueue, Use{Open: []Opener{{Process: alive.Process}}}, all, InUse, "open age"},
		{"object of nobody", object, Use{}, all, Orphan, "not-open age"},
		{"semaphore of nobody", lock, Use{}, all, Orphan, "not-open age"},
		{"POSIX queue of nobody", mqueue, Use{}, all, Orphan, "not-open age"},
		{"object of nobody, as far as one sees", object, Use{}, partly, Unknown, "process-hidden age"},
		{"object in a pid namespace", object, Use{}, outside, Unknown, "process-hidden age"},
		{"object of nobody, if those count for none", object, Use{}, partlyIdle, Orphan, "not-open age"},
		{"segment between two steps of a job", segment(0, false), Use{Actors: []Actor{gone, gone}}, inJob, Unknown, "not-attached process-gone process-gone job-running age"},
		{"set never used, between two steps", set, Use{Semaphores: calm, Actors: []Actor{none}}, inJob, Unknown, "not-waiting never-used owner-gone job-running age"},
		{"object between two steps", object, Use{}, inJob, Unknown, "job-running age"},
		{"segment that a job uses", segment(1, false), Use{Actors: []Actor{gone, gone}}, inJob, InUse, "attached process-gone process-gone age"},
		{"object of a server", object, Use{}, served, Unknown, "server-alive age"},
		{"object without /proc", object, Use{}, blind, Unknown, "proc-unreadable age"},
		{"queue that was never used", queue, Use{Actors: []Actor{none, none}}, all, Unknown, "never-used age"},

		{"segment that its X client left", segment(0, false), Use{Actors: []Actor{gone, xServer}}, all, Orphan, "not-attached process-gone x-server age"},
		{"segment of a living X client", segment(0, false), Use{Actors: []Actor{alive, xServer}}, all, Idle, "not-attached process-alive x-server age"},
		{"segment that others may know", segment(0, false), Use{Actors: []Actor{gone, gone}}, held, Unknown, "not-attached process-gone process-gone owner-alive age"},
		{"set that others may know", set, Use{Semaphores: calm, Actors: []Actor{gone}}, held, Unknown, "not-waiting process-gone owner-alive age"},
		{"segment in a pid namespace", segment(0, false), Use{Actors: []Actor{gone, gone}}, outside, Unknown, "not-attached process-gone process-gone process-hidden age"},
		{"set where processes are not listed", set, Use{Semaphores: calm, Actors: []Actor{gone}}, unlisted, Unknown, "not-waiting process-gone process-hidden age"},
		{"set, if those count for none", set, Use{Semaphores: calm, Actors: []Actor{gone}}, partlyIdle, Orphan, "not-waiting process-gone age"},
		{"queue with messages", full, Use{Actors: []Actor{gone, none}}, all, Unknown, "process-gone messages age"},
		{"queue with messages that do not count", full, Use{Actors: []Actor{gone, none}}, messages, Orphan, "process-gone not-waiting age"},
		{"queue with messages of nobody", full, Use{Actors: []Actor{none, none}}, ownerless, Unknown, "never-used owner-gone messages age"},
		{"queue for which a stranger can't wait", private, Use{Actors: []Actor{gone, gone}}, stranger, Orphan, "process-gone process-gone not-waiting age"},
		{"queue for which a stranger may wait", public, Use{Actors: []Actor{gone, gone}}, stranger, Unknown, "process-gone process-gone process-hidden age"},
		{"set never used, of an owner who is gone", set, Use{Semaphores: calm, Actors: []Actor{none}}, ownerless, Orphan, "not-waiting never-used owner-gone age"},
		{"set never used, of an owner who is left", set, Use{Semaphores: calm, Actors: []Actor{none}}, ownerLeft, Unknown, "not-waiting never-used age"},
		{"set never used, of an owner who is gone, beside root", set, Use{Semaphores: calm, Actors: []Actor{none}}, ownerlessHeld, Unknown, "not-waiting never-used owner-gone root-alive age"},
		{"object named after a process", object, Use{}, named, Unknown, "named-after age"},
		{"object that the kernel says nobody has open", object, Use{}, leased, Orphan, "not-open age"},
		{"object that the kernel says somebody has open", object, Use{}, refused, InUse, "open age"},
		{"POSIX queue with messages", fullMQ, Use{}, all, Unknown, "messages age"},
		{"POSIX queue with messages that do not count", fullMQ, Use{}, messages, Orphan, "not-open age"},
		{"POSIX queue that may not be read", darkMQ, Use{}, all, Unknown, "not-readable age"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := tt.object
			o.Use = &tt.use
			judge([]Object{o}, tt.ev)
			wantVerdict(t, &o, tt.want, tt.reasons)
		})
	}
}

// TestReasonTexts checks the texts that a person reads.
func TestReasonTexts(t *testing.T) {
	p := func(pid int) *Process { return &Process{PID: pid, Comm: "app"} }
	o := &Object{
		Kind: ref.Shm,
		Segment: &sysv.SegmentInfo{
			NAttch: 9, Dest: true, CTime: now.Add(-72 * time.Hour), ATime: now.Add(-90 * time.Minute), DTime: now.Add(-5 * time.Hour),
		},
		Use: &Use{
			Attached:          []Attacher{{Process: p(1)}, {Process: p(2)}, {Process: p(3)}, {Process: p(4)}, {Process: p(5)}},
			HiddenAttachments: 4,
			Actors:            []Actor{alive, gone, taken, dark, {Role: Operator, PID: 3, State: Gone, Sems: []int{1, 2}}, {Role: Operator, PID: 3, State: Gone, Sems: []int{0, 1, 2, 3, 4}}},
		},
	}
	judge([]Object{*o}, evidence{now: now, hidden: &Hidden{}, witness: testimony{}})
	want := `it is marked for removal and goes with its last attachment
9 attachments: app[1], app[2], app[3], app[4], 1 more, 4 not visible
the creator app[7] is alive
the last user 8 is gone
the creator 9 is gone: that id was given to sshd later
the last sender is not known: it is dark
the last operator of semaphores 1 2 3 is gone
the last operator of 5 semaphores 3 is gone
changed 3 days ago, used 90 min ago`
	var texts []string
	for _, r := range o.Use.Reasons {
		texts = append(texts, r.Text)
	}
	if got := strings.Join(texts, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAgo(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0 s ago": 0, "119 s ago": 119 * time.Second, "2 min ago": 2 * time.Minute, "119 min ago": 119 * time.Minute,
		"2 h ago": 2 * time.Hour, "47 h ago": 47 * time.Hour, "2 days ago": 48 * time.Hour, "in the future": -time.Second,
	} {
		if got := ago(now, now.Add(-d)); got != want {
			t.Errorf("ago(%v) = %q, want %q", d, got, want)
		}
	}
	if got := ago(now, time.Time{}); got != "never" {
		t.Errorf("ago(zero) = %q", got)
	}
}

func TestClock(t *testing.T) {
	boot := now
	tests := []struct {
		name        string
		clock       clock
		start       time.Duration
		object      time.Duration // since the boot
		after, sure bool
	}{
		{"maker", clock{boot: boot}, time.Hour, time.Hour + time.Second, false, true},
		{"the same second", clock{boot: boot}, time.Hour + 900*time.Millisecond, time.Hour, false, true},
		{"within the slack", clock{boot: boot}, time.Hour + 2*time.Second, time.Hour, false, true},
		{"successor", clock{boot: boot}, time.Hour + 3*time.Second, time.Hour, true, true},
		{"successor, after a step that is known", clock{boot: boot, step: time.Minute}, time.Hour + 3*time.Second, time.Hour, true, false},
		{"an object older than the boot", clock{boot: boot}, time.Second, -time.Hour, true, false},
		{"an object of the moment of the boot", clock{boot: boot, step: time.Second}, time.Minute, -2 * time.Second, true, true},
	}
	for _, tt := range tests {
		after, sure := tt.clock.after(tt.start, boot.Add(tt.object))
		if after != tt.after || sure != tt.sure {
			t.Errorf("%s: %v, %v; want %v, %v", tt.name, after, sure, tt.after, tt.sure)
		}
	}
}

func dump(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func codes(reasons []Reason) string {
	var list []string
	for _, r := range reasons {
		list = append(list, string(r.Code))
	}
	return strings.Join(list, " ")
}

func wantVerdict(t testing.TB, o *Object, verdict Verdict, reasons string) {
	t.Helper()
	if o.Use.Verdict != verdict || codes(o.Use.Reasons) != reasons {
		t.Errorf("%v:%d: verdict %v (%s), want %v (%s): %s", o.Kind, o.ID(), o.Use.Verdict, codes(o.Use.Reasons), verdict, reasons, dump(o.Use))
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		Unknown.String(): "unknown", InUse.String(): "in use", Idle.String(): "idle", Orphan.String(): "orphan",
		None.String(): "none", Alive.String(): "alive", Gone.String(): "gone", Reused.String(): "reused", Unseen.String(): "unknown",
		Creator.String(): "creator", User.String(): "last user", Operator.String(): "last operator",
		Sender.String(): "last sender", Receiver.String(): "last receiver",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
