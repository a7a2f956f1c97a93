package inventory

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

func TestKeepFamilies(t *testing.T) {
	at := func(s float64) time.Time { return now.Add(time.Duration(s * float64(time.Second))) }
	judged := func(o Object, v Verdict, actors ...Actor) Object {
		o.Use = &Use{Verdict: v, Actors: actors}
		return o
	}
	set := func(id int, key sysv.Key, made time.Time, v Verdict, actors ...Actor) Object {
		return judged(Object{Kind: ref.Sem, Set: &sysv.SetInfo{ID: id, Perm: sysv.Perm{Key: key, CUID: 5}, CTime: made}}, v, actors...)
	}
	queue := func(id int, key sysv.Key, made time.Time, v Verdict, actors ...Actor) Object {
		return judged(Object{Kind: ref.Msg, Queue: &sysv.QueueInfo{ID: id, Perm: sysv.Perm{Key: key, CUID: 5}, CTime: made}}, v, actors...)
	}
	seg := func(id int, made time.Time, v Verdict, actors ...Actor) Object {
		return judged(Object{Kind: ref.Shm, Segment: &sysv.SegmentInfo{ID: id, Perm: sysv.Perm{CUID: 5}, CTime: made}}, v, actors...)
	}
	shm := func(name string, v Verdict) Object {
		return judged(Object{Kind: ref.PShm, PShm: &posix.FileInfo{Name: name, UID: 5}}, v)
	}
	ofUser := func(uid uint32, o Object) Object {
		o.PShm.UID = uid
		return o
	}
	dead := func(role Role, pid int) Actor { return Actor{Role: role, PID: pid, State: Gone} }
	reused := func(role Role, pid int) Actor { return Actor{Role: role, PID: pid, State: Reused} }
	others := set(1, 0, at(0), Orphan)
	others.Set.CUID = 6
	for _, tt := range []struct {
		name    string
		objects []Object
		want    string // of each: o for orphan, k for kept
	}{
		{"fakeroot between two commands", []Object{
			queue(0, 0x70, at(0), InUse), queue(1, 0x71, at(0), Orphan, dead(Sender, 9)), set(0, 0x72, at(0), Orphan, dead(Operator, 9)),
		}, "-kk"},
		{"the same key", []Object{set(7, 0x70, at(0), Idle), queue(9, 0x70, at(1), Orphan)}, "-k"},
		{"keys far apart", []Object{set(7, 0x70, at(0), Idle), queue(9, 0x72, at(1), Orphan)}, "-o"},
		{"made later", []Object{set(7, 0x70, at(0), Idle), queue(9, 0x71, at(3), Orphan)}, "-o"},
		{"another user's", []Object{set(0, 0, at(0), Idle), others}, "-o"},
		{"identifiers side by side", []Object{set(1<<15|4, 0, at(0), Idle), set(5, 0, at(1), Orphan), set(7, 0, at(1), Orphan)}, "-ko"},
		{"of a chain, what was made in two seconds", []Object{
			set(4, 0, at(0), Idle), set(5, 0, at(1), Orphan), set(6, 0, at(2), Orphan), set(7, 0, at(3), Orphan), set(8, 0, at(4), Orphan),
		}, "-kkoo"},
		{"segments have makers", []Object{seg(4, at(0), Idle), seg(5, at(0), Orphan, dead(Creator, 9))}, "-o"},
		{"made by one process", []Object{seg(4, at(0), InUse, dead(Creator, 9)), set(9, 0, at(60), Orphan, dead(Operator, 9))}, "-k"},
		{"by way of a third", []Object{
			set(4, 0, at(0), Idle), set(5, 0, at(1), Orphan, dead(Operator, 9)), seg(2, at(-90), Orphan, dead(Creator, 9)),
		}, "-kk"},
		{"by way of a last user", []Object{seg(4, at(0), InUse, dead(Creator, 8), dead(User, 9)), seg(9, at(60), Orphan, dead(Creator, 9))}, "-k"},
		{"last user of both is an X server", []Object{seg(4, at(0), Idle, dead(User, 9)), seg(9, at(60), Orphan, dead(Creator, 8), dead(User, 9))}, "-o"},
		{"an id that was given away", []Object{seg(4, at(0), InUse, dead(Creator, 9)), seg(9, at(60), Orphan, reused(Creator, 9))}, "-o"},
		{"names with one number", []Object{shm("/app.4711.ring", InUse), shm("/app-4711", Orphan), shm("/app.4712.ring", Orphan), shm("/x_7", InUse), shm("/y_7", Orphan)}, "-ko-o"},
		{"names with the number of the user", []Object{ofUser(1000, shm("/seg.1000.a1.0", InUse)), ofUser(1000, shm("/seg.1000.a2.0", Orphan))}, "-o"},
	} {
		keepFamilies(tt.objects)
		got := ""
		for _, o := range tt.objects {
			switch {
			case o.Use.Verdict == Orphan:
				got += "o"
			case codes(o.Use.Reasons) == string(FamilyAlive):
				got += "k"
			default:
				got += "-"
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestManyFamilies: the orphans of a user are found quickly among many objects that are
// needed.
func TestManyFamilies(t *testing.T) {
	const each = 16000
	var objects []Object
	for i := range 2 * each {
		v := []Verdict{Orphan, Idle}[i/each] // the orphans first, as the living are younger
		actor := Actor{Role: Operator, PID: 1000 + i, State: Gone}
		objects = append(objects, Object{
			Kind: ref.Sem, Set: &sysv.SetInfo{ID: i, CTime: now.Add(time.Duration(i) * time.Millisecond)},
			Use: &Use{Verdict: v, Actors: []Actor{actor}},
		})
	}
	keepFamilies(objects)
	found := 0
	for i := range objects {
		if objects[i].Use.Verdict == Orphan {
			found++
		}
	}
	if least := each - int(together/time.Millisecond); found < least-1 || found == each {
		t.Errorf("%d of %d orphans are found, want all but those of the last two seconds", found, each)
	}
}

func TestNumbersIn(t *testing.T) {
	for name, want := range map[string][]int{
		"/cache_14678": {14678}, "/loky-14678-abc123": {14678}, "/vader_segment.host.1000.7.4242": {1000, 7, 4242},
		"/shm4242": {4242}, "/psm_12ab34cd": nil, "/abc123": nil, "/x12y": nil, "/PostgreSQL.1234567890": nil,
		"/a1": nil, "/run_1": nil, "/": nil, "/é77": {77}, "/00042": {42},
	} {
		if got := numbersIn(name); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got := numbersIn("/" + strings.Repeat("9", 300)); got != nil {
		t.Error(fmt.Sprint(got))
	}
}
