package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{"save": playSave, "restore": playRestore, "cycle": playCycle, "write": playWrite, "save part": playSavePart, "hold": playHold})
	ipctest.MainPOSIX(m)
}

var (
	kinds  = []ref.Kind{ref.Shm, ref.Sem, ref.Msg}
	nobody = &syscall.Credential{Uid: 65534, Gid: 65534}
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError checks that err contains want.
func wantError(t testing.TB, what string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error %v, want %q", what, err, want)
	}
}

func newStore(t testing.TB) *Store {
	t.Helper()
	s, err := Create(filepath.Join(t.TempDir(), "backup"))
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// dump describes all objects of the namespace, as a restore must bring them back.
func dump(t testing.TB) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, kind := range kinds {
		for o, err := range objects(kind) {
			check(t, err)
			all[fmt.Sprintf("%v:%d", kind, o.id)] = fmt.Sprintf("%v %d:%d %v %d %s", o.Key, o.UID, o.GID, o.Mode, o.size, contents(t, o))
		}
	}
	files, err := named()
	check(t, err)
	for o, info := range files {
		all[o.String()] = info
	}
	return all
}

// named describes all POSIX objects.
func named() (map[ref.Object]string, error) {
	all := make(map[ref.Object]string)
	for i, err := range posix.Objects() {
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile("/dev/shm" + i.Name)
		if err != nil {
			return nil, err
		}
		all[ref.Object{Kind: ref.PShm, Name: i.Name}] = fmt.Sprintf("%d:%d %v %d %s", i.UID, i.GID, i.Mode, i.Size, checksum(content))
	}
	for i, err := range posix.Semaphores() {
		if err != nil {
			return nil, err
		}
		all[ref.Object{Kind: ref.PSem, Name: i.Name}] = fmt.Sprintf("%d:%d %v %v %d %d", i.UID, i.GID, i.Mode, i.Known, i.Value, i.Bits)
	}
	for i, err := range posix.Queues() {
		if err != nil {
			return nil, err
		}
		all[ref.Object{Kind: ref.PMsg, Name: i.Name}] = fmt.Sprintf("%d:%d %v %v", i.UID, i.GID, i.Mode, i.Attributes)
	}
	return all, nil
}

func unlink(o ref.Object) error {
	switch o.Kind {
	case ref.PShm:
		return posix.UnlinkObject(o.Name)
	case ref.PSem:
		return posix.UnlinkSemaphore(o.Name)
	default:
		return posix.UnlinkQueue(o.Name)
	}
}

func contents(t testing.TB, o *object) string {
	t.Helper()
	switch o.kind {
	case ref.Shm:
		info, err := sysv.Segment(o.id).Stat()
		check(t, err)
		mem, err := sysv.Segment(o.id).Attach(&sysv.AttachOptions{ReadOnly: true})
		check(t, err)
		defer mem.Detach()
		return fmt.Sprint(info.Locked, " ", checksum(mem.Bytes()))
	case ref.Sem:
		info, err := sysv.Set(o.id).Stat()
		check(t, err)
		values, err := sysv.Set(o.id).Values()
		check(t, err)
		return fmt.Sprint(values, info.OTime.IsZero())
	default:
		q := sysv.Queue(o.id)
		info, err := q.Stat()
		check(t, err)
		text := fmt.Sprint(info.QBytes, info.QNum, info.CBytes)
		buf := make([]byte, 1<<16)
		for i := 0; ; i++ {
			n, mtype, ok, err := q.Peek(i, buf, false)
			check(t, err)
			if !ok {
				return text
			}
			text += fmt.Sprintf(" %d:%d:%s", mtype, n, checksum(buf[:n]))
		}
	}
}

func removeAll(t testing.TB) {
	t.Helper()
	for _, kind := range kinds {
		for o, err := range objects(kind) {
			check(t, err)
			check(t, remove(kind, o.id))
		}
	}
	files, err := named()
	check(t, err)
	for o := range files {
		check(t, unlink(o))
	}
}

func makeObject(t testing.TB, name string, size int64, owner sysv.Ownership, write map[int64]string) {
	t.Helper()
	o, err := posix.CreateObject(name, size, nil)
	check(t, err)
	for at, text := range write {
		_, err := o.File().WriteAt([]byte(text), at)
		check(t, err)
	}
	check(t, errors.Join(o.Chown(int(owner.UID), int(owner.GID)), o.Chmod(owner.Mode), o.Close()))
}

func makeSemaphore(t testing.TB, name string, value int, owner sysv.Ownership) {
	t.Helper()
	s, err := posix.CreateSemaphore(name, value, &posix.SemaphoreOptions{Mode: owner.Mode})
	check(t, err)
	check(t, errors.Join(s.Close(), os.Chown("/dev/shm/sem."+name[1:], int(owner.UID), int(owner.GID))))
}

func makePOSIXQueue(t testing.TB, name string, owner sysv.Ownership) {
	t.Helper()
	q, err := posix.CreateQueue(name, &posix.QueueOptions{MaxMsgs: 3, MsgSize: 100})
	check(t, err)
	check(t, errors.Join(q.Chown(int(owner.UID), int(owner.GID)), q.Chmod(owner.Mode), q.Close()))
}

func makeSegment(t testing.TB, key sysv.Key, size int64, locked bool, o sysv.Ownership, write map[int64]string) {
	t.Helper()
	s, err := sysv.CreateSegment(key, size, nil)
	check(t, err)
	mem, err := s.Attach(nil)
	check(t, err)
	for at, text := range write {
		_, err := mem.WriteAt([]byte(text), at)
		check(t, err)
	}
	check(t, mem.Detach())
	if locked {
		check(t, s.Lock())
	}
	check(t, s.SetOwnership(o))
}

func makeSet(t testing.TB, key sysv.Key, ready bool, o sysv.Ownership, values ...uint16) {
	t.Helper()
	s, err := sysv.CreateSet(key, len(values), nil)
	check(t, err)
	check(t, s.SetValues(values))
	if ready {
		check(t, markReady(s, values[0]))
	}
	check(t, s.SetOwnership(o))
}

func makeQueue(t testing.TB, key sysv.Key, qbytes uint64, o sysv.Ownership, messages ...Message) {
	t.Helper()
	q, err := sysv.CreateQueue(key, nil)
	check(t, err)
	for _, m := range messages {
		if ok, err := q.TrySend(m.Type, m.Text); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	check(t, q.SetOwnership(o, qbytes))
}

// makeAll makes objects of every kind, with extreme values.
func makeAll(t testing.TB) {
	t.Helper()
	t.Cleanup(func() { removeAll(t) })
	limits, err := sysv.MsgLimits()
	check(t, err)
	mine := sysv.Ownership{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Mode: 0o640}
	other := mine
	if several() {
		other = sysv.Ownership{UID: 65534, GID: 12345, Mode: 0o777}
	}
	makeSegment(t, math.MinInt32+1, 5<<20+4097, false, other, map[int64]string{0: "a", 3<<20 + 5: "middle", 5<<20 + 4096: "z"})
	makeSegment(t, sysv.Private, 4096, true, mine, map[int64]string{100: "locked"})
	makeSegment(t, sysv.Private, 1, false, sysv.Ownership{UID: mine.UID, GID: mine.GID}, nil)
	makeSegment(t, -1, 3<<20, false, sysv.Ownership{UID: mine.UID, GID: mine.GID, Mode: 0o610}, nil)
	makeSet(t, 7, true, mine, 0, 32767, 1)
	makeSet(t, math.MinInt32+7, true, other, 32767)
	makeSet(t, sysv.Private, false, mine, make([]uint16, 500)...)
	makeQueue(t, sysv.Private, 16384, mine)
	makeQueue(t, -559038737, 4000, other, Message{3, []byte("three")}, Message{1, nil},
		Message{1<<31 - 1, bytes.Repeat([]byte{0, 0xff}, limits.MaxSize/2)}, Message{3, []byte("\n")})
	makeQueue(t, 9, 1, mine, slices.Repeat([]Message{{2, nil}}, 10)...)

	makeObject(t, "/memory", 1<<20+4097, other, map[int64]string{0: "a", 5000: "middle", 1<<20 + 4096: "z"})
	makeObject(t, "/a b\x1b%\xff", 1, mine, map[int64]string{0: "x"})
	makeObject(t, "/"+strings.Repeat("%", 255), 0, mine, nil)
	makeSemaphore(t, "/memory", 7, mine)
	makeSemaphore(t, "/taken", 0, other)
	makePOSIXQueue(t, "/memory", other)
	makePOSIXQueue(t, "/unready", sysv.Ownership{UID: mine.UID, GID: mine.GID, Mode: 0o100})
}

func several() bool {
	uids, _ := os.ReadFile("/proc/self/uid_map")
	fields := strings.Fields(string(uids))
	return len(fields) >= 3 && fields[2] != "1"
}

// saveAll saves all objects and, with andRemove, removes each one after saving it.
func saveAll(s *Store, andRemove bool) error {
	files, err := named()
	if err != nil {
		return err
	}
	for o := range files {
		if err := saveOne(s, o, andRemove, unlink); err != nil {
			return err
		}
	}
	for _, kind := range kinds {
		for o, err := range objects(kind) {
			if err != nil {
				return err
			}
			err := saveOne(s, ref.Object{Kind: kind, ID: o.id}, andRemove, func(o ref.Object) error { return remove(o.Kind, o.ID) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// saveOne saves an object. Without andRemove it stops like a process that was killed
// before the removal: the object is in the backup and still exists.
func saveOne(s *Store, o ref.Object, andRemove bool, remove func(ref.Object) error) error {
	saved, err := s.Save(context.Background(), o)
	if err != nil {
		return err
	}
	if !andRemove {
		return saved.hold.kept()
	}
	if err := saved.Check(); err != nil {
		return errors.Join(err, saved.Kept())
	}
	if err := remove(o); err != nil {
		return errors.Join(err, saved.Kept())
	}
	return saved.Removed()
}

func restoreAll(s *Store) (made int, err error) {
	entries, _, err := s.Entries()
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		_, m, err := s.Restore(e)
		if err != nil {
			return made, fmt.Errorf("%v: %w", e, err)
		}
		if m {
			made++
		}
	}
	return made, nil
}

func playSave(args []string) error {
	s, err := Create(args[0])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	ipctest.Told()
	return saveAll(s, true)
}

func playRestore(args []string) error {
	s, err := Open(args[0])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	ipctest.Told()
	_, err = restoreAll(s)
	return err
}

// playCycle saves, removes and restores as the current user.
func playCycle(args []string) error {
	s, err := Create(filepath.Join(args[0], "backup"))
	if err != nil {
		return err
	}
	set, err := sysv.CreateSet(77, 2, nil)
	if err != nil {
		return err
	}
	defer func() {
		if set, err := sysv.OpenSet(77); err == nil {
			_ = set.Remove()
		}
	}()
	if err := set.SetValues([]uint16{4, 5}); err != nil {
		return err
	}
	if err := saveOne(s, ref.Object{Kind: ref.Sem, ID: int(set)}, true, func(ref.Object) error { return set.Remove() }); err != nil {
		return err
	}
	if made, err := restoreAll(s); made != 1 || err != nil {
		return fmt.Errorf("made %d: %w", made, err)
	}
	again, err := sysv.OpenSet(77)
	if err != nil {
		return err
	}
	values, err := again.Values()
	if err != nil {
		return err
	}
	i, err := again.Stat()
	fmt.Println(values, i.UID, i.Mode == fs.FileMode(0o600))
	return err
}
