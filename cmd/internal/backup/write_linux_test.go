package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// A writer briefly uses an object, over and over. write returns nil only if the write
// was acknowledged.
type writer interface{ write(n uint32) error }

const (
	writtenName = "/written"
	writtenKey  = 0x7717
)

// playWrite runs a writer for each line that it reads, KIND ID ROUND, until that fails
// or it is told to stop, and prints the number of successes.
func playWrite([]string) error {
	lines := make(chan string)
	go func() {
		for {
			lines <- ipctest.Told()
		}
	}()
	for line := range lines {
		if line == "stop" { // the writer has already stopped
			continue
		}
		var kind string
		var id int
		if _, err := fmt.Sscan(line, &kind, &id); err != nil {
			return err
		}
		pause := 4 * time.Millisecond
		if strings.HasSuffix(kind, "shm") { // shared memory takes longer to save
			pause *= 10
		}
		w, written := newWriter(kind, id), uint32(0)
		for stop := false; !stop; {
			if w.write(written+1) != nil {
				break
			}
			written++
			if written == 1 {
				fmt.Println("begun")
			}
			select {
			case <-lines:
				stop = true
			case <-time.After(rand.N(1 + rand.N(pause))):
			}
		}
		if written == 0 {
			fmt.Println("begun")
		}
		fmt.Println(written)
	}
	return nil
}

func newWriter(kind string, id int) writer {
	switch kind {
	case "shm":
		return segmentWriter{id}
	case "sem":
		return setWriter{id}
	case "msg":
		return &queueWriter{sysv.Queue(id), 0}
	case "pshm":
		return objectWriter{}
	default:
		return semaphoreWriter{}
	}
}

// A segmentWriter finds the segment by key, or by identifier if it has one.
type segmentWriter struct{ id int }

func (w segmentWriter) write(n uint32) error {
	s := sysv.Segment(w.id)
	if w.id == 0 {
		var err error
		if s, err = sysv.OpenSegment(writtenKey); err != nil {
			return err
		}
	}
	mem, err := s.Attach(nil)
	if err != nil {
		return err
	}
	binary.NativeEndian.PutUint32(mem.Bytes(), n)
	return mem.Detach()
}

type setWriter struct{ id int }

func (w setWriter) write(uint32) error {
	_, err := sysv.Set(w.id).TryDo(sysv.Op{Add: 1})
	return err
}

// A queueWriter keeps a few messages in the queue. The last one holds the number sent.
type queueWriter struct {
	sysv.Queue
	there int
}

func (w *queueWriter) write(n uint32) error {
	if ok, err := w.TrySend(1, binary.NativeEndian.AppendUint32(nil, n)); !ok || err != nil {
		return errors.Join(errors.New("not sent"), err)
	}
	if w.there++; w.there > 5 {
		w.there--
		_, _, _, err := w.TryReceive(make([]byte, 4), sysv.ReceiveOptions{})
		_ = err // the message was sent nevertheless
	}
	return nil
}

// An objectWriter opens the file as the C library does: unlike package posix, it blocks
// while another process holds a lease.
type objectWriter struct{}

func (objectWriter) write(n uint32) error {
	return onFile("/dev/shm"+writtenName, func(m *posix.Mapping) error {
		binary.NativeEndian.PutUint32(m.Bytes(), n)
		return nil
	})
}

type semaphoreWriter struct{}

func (semaphoreWriter) write(uint32) error {
	return onFile("/dev/shm/sem."+writtenName[1:], func(m *posix.Mapping) error {
		s, err := posix.SemaphoreAt(m, 0)
		if err != nil {
			return err
		}
		return s.Release(1)
	})
}

func onFile(path string, do func(*posix.Mapping) error) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	m, err := posix.MapFile(f, nil)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(do(m), m.Unmap(), f.Close())
}

// makeWritten makes an object for a writer, still unwritten.
func makeWritten(t *testing.T, kind ref.Kind) (o ref.Object) {
	t.Helper()
	owner := own(0o666)
	switch kind {
	case ref.Shm:
		makeSegment(t, writtenKey, 64<<10, false, owner, map[int64]string{9000: "more"})
	case ref.Sem:
		makeSet(t, writtenKey, true, owner, 0, 7)
	case ref.Msg:
		makeQueue(t, writtenKey, 16384, owner)
	case ref.PShm:
		makeObject(t, writtenName, 64<<10, owner, map[int64]string{9000: "more"})
		return ref.Object{Kind: kind, Name: writtenName}
	default:
		makeSemaphore(t, writtenName, 0, owner)
		check(t, os.Chmod("/dev/shm/sem."+writtenName[1:], owner.Mode)) // whatever the umask
		return ref.Object{Kind: kind, Name: writtenName}
	}
	for made, err := range objects(kind) {
		check(t, err)
		return ref.Object{Kind: kind, ID: made.id}
	}
	return o
}

// readWritten returns the last value written to an object, as far as a restored object
// shows it.
func readWritten(t *testing.T, kind ref.Kind) (n uint32) {
	t.Helper()
	read := make([]byte, 4)
	switch kind {
	case ref.PShm:
		o, err := posix.OpenObject(writtenName, posix.ReadOnly)
		check(t, err)
		_, err = o.File().ReadAt(read, 0)
		check(t, errors.Join(err, o.Close()))
	case ref.PSem:
		info, err := posix.StatSemaphore(writtenName)
		check(t, err)
		return uint32(info.Value)
	case ref.Shm:
		s, err := sysv.OpenSegment(writtenKey)
		check(t, err)
		mem, err := s.Attach(&sysv.AttachOptions{ReadOnly: true})
		check(t, err)
		copy(read, mem.Bytes())
		check(t, mem.Detach())
	case ref.Sem:
		s, err := sysv.OpenSet(writtenKey)
		check(t, err)
		values, err := s.Values()
		check(t, err)
		return uint32(values[0])
	default:
		q, err := sysv.OpenQueue(writtenKey)
		check(t, err)
		messages, err := peekAll(q)
		check(t, err)
		if len(messages) == 0 {
			return 0
		}
		copy(read, messages[len(messages)-1].Text)
	}
	return binary.NativeEndian.Uint32(read)
}

// TestWrites saves and removes an object while a program writes to it, and restores it.
// Every acknowledged write must be there.
func TestWrites(t *testing.T) {
	ipctest.NeedOtherUsers(t) // root can use a set that is shut
	for _, kind := range []ref.Kind{ref.Shm, ref.Sem, ref.Msg, ref.PShm, ref.PSem} {
		t.Run(kind.String(), func(t *testing.T) {
			p := ipctest.Start(t, "write", nobody)
			removed, used := 0, 0
			for round := range ipctest.Rounds(t, 80, 0) {
				n, ok := writeRound(t, p, kind, round)
				used += n
				if ok {
					removed++
				}
			}
			t.Logf("removed %d, seen in use %d times", removed, used)
			if !testing.Short() && (removed == 0 || used == 0) { // in few rounds this may happen by chance
				t.Errorf("removed %d, seen in use %d times: not a race", removed, used)
			}
		})
	}
}

// writeRound returns how often the object was seen in use, and whether it was removed.
func writeRound(t *testing.T, p *ipctest.Process, kind ref.Kind, round int) (used int, removed bool) {
	t.Helper()
	defer removeAll(t)
	o := makeWritten(t, kind)
	id := o.ID
	if kind == ref.Shm && round%2 == 0 {
		id = 0
	}
	p.Tell(fmt.Sprintf("%v %d", kind, id))
	if line := p.Line(); line != "begun" {
		t.Fatal(line)
	}
	s, err := Create(filepath.Join(t.TempDir(), strconv.Itoa(round)))
	check(t, err)
	defer s.Close()
	const tries = 20
	for used < tries && !removed {
		switch err := saveOne(s, o, true, removeObject); {
		case errors.Is(err, ErrUsed):
			used++
		case err != nil:
			t.Fatalf("round %d: %v", round, err)
		default:
			removed = true
		}
	}
	p.Tell("stop")
	acked, err := strconv.ParseUint(p.Line(), 10, 32)
	check(t, err)
	if removed {
		made, err := restoreAll(s)
		if made != 1 || err != nil {
			t.Fatalf("round %d: restored %d, %v", round, made, err)
		}
	}
	if n := readWritten(t, kind); uint64(n) < acked {
		t.Fatalf("round %d: %d is there, %d was written; removed: %v", round, n, acked, removed)
	}
	return used, removed
}

func removeObject(o ref.Object) error {
	if o.Kind.POSIX() {
		return unlink(o)
	}
	return remove(o.Kind, o.ID)
}
