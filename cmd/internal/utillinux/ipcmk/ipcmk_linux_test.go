package ipcmk

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) { ipctest.Main(m) }

// TestTakenKey: an existing object is never taken for a new one.
func TestTakenKey(t *testing.T) {
	r := request{size: 1, nsems: 1, mode: 0o600}
	for _, kind := range []struct {
		create func(sysv.Key) (int, error)
		remove func(int) error
	}{
		{r.createSegment, func(id int) error { return sysv.Segment(id).Remove() }},
		{r.createQueue, func(id int) error { return sysv.Queue(id).Remove() }},
		{r.createSet, func(id int) error { return sysv.Set(id).Remove() }},
	} {
		id, err := kind.create(5)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kind.create(5); !errors.Is(err, fs.ErrExist) {
			t.Errorf("under a taken key: error %v, want fs.ErrExist", err)
		}
		if err := kind.remove(id); err != nil {
			t.Error(err)
		}
	}
}

func TestUnderFreeKey(t *testing.T) {
	tries := 0
	id, err := underFreeKey(func(key sysv.Key) (int, error) {
		if key == sysv.Private {
			t.Error("tried without a key")
		}
		if tries++; tries < 5 {
			return -1, fs.ErrExist
		}
		return 77, nil
	})()
	if id != "77" || err != nil || tries != 5 {
		t.Errorf("%s, %v after %d tries", id, err, tries)
	}
	if _, err := underFreeKey(func(sysv.Key) (int, error) { return -1, fs.ErrPermission })(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v, want fs.ErrPermission", err)
	}
}
