package removal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{
		"attach":  playAttach,
		"wait":    playWait,
		"receive": playReceive,
		"remove":  playRemove,
		"open":    playOpen,

		"remove idle": playRemoveIdle,

		"remove named": playRemoveNamed,
	})
	ipctest.MainPOSIX(m)
}

// nobody is a user who owns no objects.
var nobody = &syscall.Credential{Uid: 65534, Gid: 65534}

func playAttach(args []string) error {
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if _, err := sysv.Segment(id).Attach(nil); err != nil {
		return err
	}
	fmt.Println("attached")
	ipctest.Told()
	return nil
}

// playWait waits on semaphore 0 until the set is removed.
func playWait(args []string) error {
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	return sysv.Set(id).Do(context.Background(), sysv.Op{Add: -1})
}

func playReceive(args []string) error {
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	_, _, err = sysv.Queue(id).Receive(context.Background(), make([]byte, 10), sysv.ReceiveOptions{})
	return err
}

// playRemove removes everything that it selects, and prints the results.
func playRemove([]string) error {
	inv, err := inventory.Collect(inventory.Options{Want: inventory.WantSemaphores})
	if err != nil {
		return err
	}
	targets, foreign := Select(inv, inventory.WantSemaphores, inv.Objects)
	fmt.Println(len(targets), len(foreign))
	for _, err := range Remove(context.Background(), append(targets, foreign...), Options{}) {
		fmt.Println(err, errors.Is(err, fs.ErrPermission))
	}
	return nil
}

var kinds = []ref.Kind{ref.Shm, ref.Sem, ref.Msg}

func create(t testing.TB, kind ref.Kind, mode fs.FileMode) int {
	t.Helper()
	id, err := makeOne(kind, mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := destroy(kind, id); err != nil && exists(kind, id) {
			t.Error(err)
		}
	})
	return id
}

func makeOne(kind ref.Kind, mode fs.FileMode) (int, error) {
	switch kind {
	case ref.Shm:
		s, err := sysv.CreateSegment(sysv.Private, 4096, &sysv.SegmentOptions{Mode: mode})
		return int(s), err
	case ref.Sem:
		s, err := sysv.CreateSet(sysv.Private, 3, &sysv.SetOptions{Mode: mode})
		return int(s), err
	default:
		q, err := sysv.CreateQueue(sysv.Private, &sysv.QueueOptions{Mode: mode})
		return int(q), err
	}
}

func destroy(kind ref.Kind, id int) error { return (&Target{Kind: kind, ID: id}).destroy() }

func exists(kind ref.Kind, id int) bool {
	_, err := inventory.Look(ref.Object{Kind: kind, ID: id})
	return err == nil
}

// chooseID makes the kernel use id for the next object of a kind.
func chooseID(kind ref.Kind, id int) error {
	return os.WriteFile("/proc/sys/kernel/"+kind.String()+"_next_id", []byte(strconv.Itoa(id)), 0)
}
