package inventory

import (
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

func TestLosesEvidence(t *testing.T) {
	user := func(uid uint32, x bool) Actor {
		return Actor{Role: User, PID: 5, State: Alive, XServer: x, Process: &Process{PID: 5, UID: uid}}
	}
	for _, tt := range []struct {
		name   string
		nattch uint64
		actors []Actor
		want   bool
	}{
		{"a living user of another uid", 0, []Actor{gone, user(7, false)}, true},
		{"its owner", 0, []Actor{gone, user(3, false)}, false},
		{"its creator", 0, []Actor{gone, user(4, false)}, false},
		{"a living maker", 0, []Actor{alive, user(7, false)}, false},
		{"an X server", 0, []Actor{gone, user(7, true)}, false},
		{"somebody who is attached", 1, []Actor{gone, user(7, false)}, false},
		{"nobody", 0, []Actor{gone, gone}, false},
	} {
		o := Object{Kind: ref.Shm, Segment: &sysv.SegmentInfo{NAttch: tt.nattch, Perm: sysv.Perm{UID: 3, CUID: 4}}, Use: &Use{Actors: tt.actors}}
		if got := o.LosesEvidence(); (got != nil) != tt.want {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}
