// Command wait32 waits on an object. TestWaiting32 builds it for 32 bits and looks at it
// from a 64-bit program.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func main() {
	if err := wait(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func wait(args []string) error {
	id, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	switch ctx := context.Background(); args[0] {
	case "semop":
		return sysv.Set(id).Do(ctx, sysv.Op{Num: 1, Add: 1}, sysv.Op{Num: 0, Add: -3, Undo: true})
	case "semtimedop":
		return ipctest.Semtimedop(id, time.Hour, sysv.Op{Num: 1, Add: -2})
	case "msgrcv":
		_, _, err := sysv.Queue(id).Receive(ctx, make([]byte, 77), sysv.ReceiveOptions{Type: -9})
		return err
	case "msgsnd":
		return sysv.Queue(id).Send(ctx, 12, make([]byte, 30))
	}
	return fmt.Errorf("can't %s", args[0])
}
