package model_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// workers is how many processes make steps at a time.
const workers = 4

// patience is how long a process may take for a call that does not sleep.
const patience = 30 * time.Second

// A side is the processes that make the steps in one language, in their own IPC
// namespace.
type side struct {
	name      string
	command   func() *exec.Cmd
	interrupt func(*process) error // ends the call that it sleeps in
	do        chan func()          // work to do in the namespace

	process [workers]*process
	id      [3]map[int]int // identifiers of the objects, by kind and handle
	number  map[int]int    // the model's process numbers, by thread id
}

// newSide makes a namespace with small limits, which ends with the test.
func newSide(t *testing.T, name string, command func() *exec.Cmd, interrupt func(*process) error) *side {
	t.Helper()
	s := &side{name: name, command: command, interrupt: interrupt, do: make(chan func()), number: map[int]int{}}
	made := make(chan error)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		made <- enterNamespace()
		for f := range s.do {
			f()
		}
	}()
	if err := <-made; err != nil {
		close(s.do)
		t.Skipf("no IPC namespace: %v", err)
	}
	t.Cleanup(func() {
		for _, p := range s.process {
			p.kill()
		}
		close(s.do)
		<-ended
	})
	return s
}

func enterNamespace() error {
	if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"shmmax": fmt.Sprint(shmmax), "shmall": fmt.Sprint(shmall), "shmmni": fmt.Sprint(shmmni),
		"sem":    fmt.Sprint(semmsl, semmns, semopm, semmni),
		"msgmni": fmt.Sprint(msgmni), "msgmax": fmt.Sprint(msgmax), "msgmnb": fmt.Sprint(msgmnb),
	} {
		if err := os.WriteFile("/proc/sys/kernel/"+name, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// start starts a worker's process. number is its number in the model.
func (s *side) start(w, number int) error {
	result := make(chan error)
	s.do <- func() {
		p, err := startProcess(s.command())
		s.process[w] = p
		result <- err
	}
	if err := <-result; err != nil {
		return err
	}
	s.number[s.process[w].pid()] = number
	return nil
}

// A process makes steps.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan string
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, in: in, answers: make(chan string, 1)}
	go func() {
		defer close(p.answers)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.answers <- lines.Text()
		}
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) tell(line string) error {
	_, err := io.WriteString(p.in, line+"\n")
	return err
}

// answer returns the next answer. It fails if the process sleeps for long.
func (p *process) answer() (result, error) {
	for began := time.Now(); ; {
		select {
		case line, ok := <-p.answers:
			if !ok {
				return nil, errors.New("it has ended")
			}
			return numbers(line), nil
		case <-time.After(500 * time.Millisecond):
			if tid := p.asleep(); tid != 0 || time.Since(began) > patience {
				return nil, fmt.Errorf("no answer; thread %d sleeps in the call", tid)
			}
		}
	}
}

// sleep waits until the process sleeps in a call, and returns its thread.
func (p *process) sleep() (tid int, err error) {
	for began := time.Now(); time.Since(began) < patience; time.Sleep(20 * time.Microsecond) {
		select {
		case line := <-p.answers:
			return 0, fmt.Errorf("it should sleep, and says %q", line)
		default:
		}
		if tid := p.asleep(); tid != 0 {
			return tid, nil
		}
	}
	return 0, errors.New("it should sleep in a call, and does not")
}

// asleep returns the thread that sleeps in a System V call, or 0.
func (p *process) asleep() int {
	dir := fmt.Sprintf("/proc/%d/task", p.pid())
	tasks, _ := os.ReadDir(dir) // none if it is gone
	for _, task := range tasks {
		at, _ := os.ReadFile(dir + "/" + task.Name() + "/wchan")
		for _, function := range []string{"semtimedop", "do_msgsnd", "do_msgrcv"} {
			if strings.Contains(string(at), function) {
				return numbers(task.Name())[0]
			}
		}
	}
	return 0
}

// end closes the process's input, which makes it exit, and waits.
func (p *process) end() error {
	p.in.Close()
	return p.wait()
}

// kill kills the process and waits.
func (p *process) kill() {
	if p != nil {
		_ = p.cmd.Process.Kill()
		_ = p.wait()
	}
}

// wait reads the remaining answers before it waits, as it must.
func (p *process) wait() error {
	for range p.answers {
		continue
	}
	return p.cmd.Wait()
}
