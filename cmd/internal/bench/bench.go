package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// A Way is a way to pass messages from one process to another.
type Way string

// The ways; the first four are this module's own packages.
const (
	SysVSemaphores  Way = "sysv-sem"  // slots in a System V segment, counted by two semops.Semaphores
	POSIXSemaphores Way = "posix-sem" // slots in POSIX shared memory, counted by two posix.Semaphores
	Ring            Way = "ring"      // messages of shmring
	Stream          Way = "stream"    // the byte stream of shmring
	Pipe            Way = "pipe"      // pipe(2)
	Unix            Way = "unix"      // socketpair(2), a byte stream
	SysVQueue       Way = "sysv-msg"  // msgsnd(2) and msgrcv(2)
	POSIXQueue      Way = "posix-msg" // mq_send(3) and mq_receive(3)
	Memcpy          Way = "memcpy"    // not a way: one process copies, the upper bound for all ways
)

// Ways returns all ways.
func Ways() []Way {
	return []Way{SysVSemaphores, POSIXSemaphores, Ring, Stream, Pipe, Unix, SysVQueue, POSIXQueue, Memcpy}
}

// ParseWays parses a comma-separated list of ways.
func ParseWays(s string) (ways []Way, err error) {
	for name := range strings.SplitSeq(s, ",") {
		way, ok := parseWay(name)
		if !ok {
			return nil, fmt.Errorf("%q is not a way; the ways are %s", name, joined(Ways()))
		}
		ways = append(ways, way)
	}
	return ways, nil
}

func joined(ways []Way) string {
	names := make([]string, len(ways))
	for i, way := range ways {
		names[i] = string(way)
	}
	return strings.Join(names, " ")
}

func parseWay(name string) (Way, bool) {
	for _, way := range Ways() {
		if name == string(way) {
			return way, true
		}
	}
	return "", false
}

// Cores is the placement of the two processes on processors.
type Cores string

const (
	Same  Cores = "same"  // both on one processor
	Cross Cores = "cross" // each on its own processor
	Alone Cores = ""      // a single process: memcpy
)

// MaxSize is the size of the largest message.
const MaxSize = 16 << 20

// ErrTooLarge means that a way cannot pass messages of that size.
var ErrTooLarge = errors.New("the message is too large for this way")

// Config holds what Run measures.
type Config struct {
	Ways  []Way
	Sizes []int // of a message, in bytes: 1 to MaxSize
	// Duration is how long each of a result's two measurements takes. The warm-up takes
	// another tenth of it.
	Duration time.Duration
	// Peer returns a command, not yet started, that runs this program so that it calls
	// Peer with the arguments. Run sets its files and output, and starts it.
	Peer func(ctx context.Context, args ...string) *exec.Cmd
	// Begin, unless nil, is called before each result.
	Begin func(Result)
}

// A Result is the measurement of one way.
type Result struct {
	Way       Way
	Cores     Cores
	Size      int           // of a message, in bytes
	RoundTrip time.Duration // median
	P99       time.Duration // of the round trip
	Rate      float64       // messages per second
}

// results returns an empty Result for each measurement that c asks for, ordered so that
// the ways to compare are adjacent.
func (c Config) results(places []Cores) (all []Result) {
	for _, cores := range places {
		for _, size := range c.Sizes {
			for _, way := range c.Ways {
				if (way == Memcpy) == (cores == Alone) {
					all = append(all, Result{Way: way, Cores: cores, Size: size})
				}
			}
		}
	}
	return all
}
