package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sysvipc/gipc/cmd/extra/fleet"
	"github.com/sysvipc/gipc/cmd/extra/internal/extratest"
	"github.com/sysvipc/gipc/sysv"
)

// BenchmarkFleet lists 100,000 objects of 200 hosts, whose agents are in this process.
func BenchmarkFleet(b *testing.B) {
	const agents, objects = 200, 500
	for range objects {
		s, err := sysv.CreateSegment(sysv.Private, 4096, nil)
		check(b, err)
		b.Cleanup(func() { check(b, s.Remove()) })
	}
	s := extratest.Serve(b, nil)
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	for i := range agents {
		conn, err := nats.Connect(s.ClientURL())
		check(b, err)
		a, err := fleet.NewAgent(fmt.Sprintf("web%03d", i), slog.New(slog.DiscardHandler))
		check(b, err)
		go func() { _ = a.Serve(ctx, conn) }() // ends with the test
	}
	conn, err := nats.Connect(s.ClientURL())
	check(b, err)
	b.Cleanup(conn.Close)
	for {
		all, err := fleet.Discover(ctx, conn, time.Second)
		check(b, err)
		if len(all.Hosts) == agents {
			break
		}
	}
	program(b, "gipcs-fleet")
	for _, args := range []string{"ls", "ls --format ndjson", "ls -o kind,id,size,verdict"} {
		b.Run(args, func(b *testing.B) {
			var memory int64
			var spent time.Duration
			for b.Loop() {
				cmd := exec.Command(program(b, "gipcs-fleet"), strings.Fields(args+" --nats "+s.ClientURL()+" --seen "+b.TempDir()+"/seen")...)
				out, err := cmd.CombinedOutput()
				if err != nil {
					b.Fatalf("%v: %.500s", err, out)
				}
				if n := strings.Count(string(out), "web"); n != agents*objects {
					b.Fatalf("%d objects", n)
				}
				spent += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
				memory = max(memory, int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss))
			}
			b.ReportMetric(float64(memory)/(1<<10), "MiB")
			b.ReportMetric(spent.Seconds()/float64(b.N), "CPU-s/op")
		})
	}
}
