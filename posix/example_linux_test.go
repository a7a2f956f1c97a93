package posix_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"time"

	"github.com/sysvipc/gipc/posix"
)

// A writer and a reader, here in one process, share an object and a semaphore.
func Example() {
	obj, err := posix.CreateObject("/memmap", 4096, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer posix.UnlinkObject("/memmap")
	ready, err := posix.CreateSemaphore("/memmap_sem", 0, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer posix.UnlinkSemaphore("/memmap_sem")
	defer ready.Close()
	mem, err := obj.Map(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer mem.Unmap()
	obj.Close() // the mapping stays

	go func() {
		if _, err := mem.WriteAt([]byte("yuki..."), 0); err != nil {
			log.Fatal(err)
		}
		if err := ready.Release(1); err != nil {
			log.Fatal(err)
		}
	}()

	if err := ready.Acquire(context.Background(), 1); err != nil {
		log.Fatal(err)
	}
	text := make([]byte, 7)
	if _, err := mem.ReadAt(text, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("received %s\n", text)
	// Output: received yuki...
}

// Other processes see what View points to.
func ExampleView() {
	type header struct {
		Magic   [4]byte
		Version uint32
	}
	mem, err := posix.MapAnonymous(4096, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer mem.Unmap()
	h, err := posix.View[header](mem, 0)
	if err != nil {
		log.Fatal(err)
	}
	h.Magic, h.Version = [4]byte{'g', 'i', 'p', 'c'}, 1
	raw := make([]byte, 8)
	if _, err := mem.ReadAt(raw, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %d\n", raw[:4], binary.NativeEndian.Uint32(raw[4:]))
	// Output: gipc 1
}

// A semaphore in a mapping, like one that sem_init(3) with pshared makes.
func ExampleInitSemaphore() {
	obj, err := posix.CreateMemfd("job", 4096, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer obj.Close()
	mem, err := obj.Map(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer mem.Unmap()
	slots, err := posix.InitSemaphore(mem, 0, 2)
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		ok, err := slots.TryAcquire(1)
		fmt.Println(ok, err)
	}
	// Output:
	// true <nil>
	// true <nil>
	// false <nil>
}

// A parent passes memory without a name to a child process.
func ExampleObject_PassTo() {
	obj, err := posix.CreateMemfd("family", 4096, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer obj.Close()

	var files []*os.File // the ExtraFiles of an exec.Cmd
	fd := obj.PassTo(&files)
	fmt.Println("the child calls posix.Inherit with", fd)
	// Output: the child calls posix.Inherit with 3
}

// Seals promise the reader that the memory it was given never shrinks or changes.
func ExampleObject_Seal() {
	obj, err := posix.CreateMemfd("message", 4096, &posix.MemfdOptions{Sealing: true})
	if err != nil {
		log.Fatal(err)
	}
	defer obj.Close()
	if err := obj.Seal(posix.SealShrink | posix.SealGrow | posix.SealWrite); err != nil {
		log.Fatal(err)
	}
	err = obj.Truncate(0)
	fmt.Println(errors.Is(err, fs.ErrPermission), err)
	// Output: true ftruncate memfd:message: operation not permitted
}

func ExampleQueue() {
	q, err := posix.CreateQueue("/tasks", &posix.QueueOptions{Mode: 0o600, MaxMsgs: 8, MsgSize: 64})
	if err != nil {
		log.Fatal(err)
	}
	defer posix.UnlinkQueue("/tasks")
	defer q.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := q.Send(ctx, []byte("sweep the floor"), 1); err != nil {
		log.Fatal(err)
	}
	if err := q.Send(ctx, []byte("put out the fire"), 9); err != nil {
		log.Fatal(err)
	}
	buf := make([]byte, 64)
	for range 2 {
		n, prio, err := q.Receive(ctx, buf)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(prio, string(buf[:n]))
	}
	// Output:
	// 9 put out the fire
	// 1 sweep the floor
}
