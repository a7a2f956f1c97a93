package integration_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// locker takes one semaphore and then another one.
const locker = `
import ctypes, struct, sys
def take(n):
    while ctypes.CDLL(None).semop(%d, struct.pack("Hhh", n, -1, 0), 1): pass
first, second = map(int, sys.argv[1:])
take(first)
print(flush=True)
sys.stdin.readline()
take(second)`

// TestGraph: processes that map, wait and deadlock are drawn as the kernel has them.
func TestGraph(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	set, err := sysv.CreateSet(sysv.Private, 3, nil)
	check(t, err)
	defer func() { check(t, set.Remove()) }()
	for num := range 3 {
		check(t, set.SetValue(num, 1))
	}
	segment, err := sysv.CreateSegment(0x4d2, 4096, nil)
	check(t, err)
	defer func() { check(t, segment.Remove()) }()
	mapper := ipctest.Run(t, "python3", "-c", fmt.Sprintf("import ctypes; ctypes.CDLL(None).shmat(%d, None, 0); print(flush=True); input()", int(segment)))
	mapper.Line()

	var lockers []*ipctest.Process
	for num := range 3 {
		p := ipctest.Run(t, "python3", "-c", fmt.Sprintf(locker, int(set)), fmt.Sprint(num), fmt.Sprint((num+1)%3))
		p.Line()
		lockers = append(lockers, p)
	}
	text := g.prints(t, "graph", "--kind", "sysv")
	if strings.Contains(text, "red") || strings.Contains(text, "waits") {
		t.Errorf("nobody waits:\n%s", text)
	}
	for _, want := range []string{fmt.Sprintf(`label="python3\npid %d, root"`, mapper.PID()), `label="shm:0 key 0x000004d2\n4K, root"`, `label="maps"`, `label="python3 ×3\nroot"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	mapper.Kill()
	for _, p := range lockers {
		p.Tell("")
	}
	check(t, eventually(func() bool {
		return strings.Count(g.prints(t, "graph", "--kind", "sem"), `label="waits, semaphore `) == 3
	}))
	text = g.prints(t, "graph", "--kind", "sem")
	for num := range 3 {
		for _, edge := range []string{`label="waits, semaphore %d", style=dashed, color=red`, `label="operated last, semaphore %d", style=dashed, color=red`} {
			if want := fmt.Sprintf(edge, num); strings.Count(text, want) != 1 {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
	}
	text = g.prints(t, "graph", "--format", "svg", "--by", "program", "--kind", "sem")
	for _, class := range []string{"edge dashed deadlocked", "edge dotted deadlocked"} {
		if n := strings.Count(text, `class="`+class+`"`); n != 3 {
			t.Errorf("%d times %s in the picture, want 3:\n%s", n, class, text)
		}
	}
	lockers[0].Kill()
	check(t, eventually(func() bool { return !strings.Contains(g.prints(t, "graph", "--kind", "sem"), "red") }))
	for _, p := range lockers[1:] {
		p.Kill()
	}
}
