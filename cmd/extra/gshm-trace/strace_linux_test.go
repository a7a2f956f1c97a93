package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// straced is what strace is to show: all calls that gshm-trace may show.
const straced = "trace=?ipc,shmget,shmat,shmdt,shmctl,semget,semop,semtimedop,semctl,msgget,msgsnd,msgrcv,msgctl," +
	"mq_open,mq_unlink,mq_timedsend,mq_timedreceive,mq_notify,mq_getsetattr,futex,?open,openat,?unlink,unlinkat,?link,linkat,?mmap,?mmap2"

// TestSameAsStrace compares the lines of both for a program that makes every call.
func TestSameAsStrace(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed: install strace")
	}
	programs := map[string]string{"native": ipctest.Compile(t, "testdata/calls.c", "-Wno-nonnull")}
	if ipctest.Runs32(t) {
		cc, err := exec.LookPath("i686-linux-gnu-gcc")
		if err != nil {
			t.Skip("no C compiler for 32 bits: install gcc-i686-linux-gnu and libc6-dev-i386-cross")
		}
		programs["32 bits"] = ipctest.CompileWith(t, "calls32", cc, "-O2", "-static", "testdata/calls.c")
	}
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			theirs := finish(t, exec.Command("strace", "-ff", "--seccomp-bpf", "-e", straced, "-o", filepath.Join(dir, "strace"), program))
			ours := trace(t, nil, program)
			if ours.status != 7 || theirs.status != 7 || ours.stdout != "done\n" || theirs.stdout != "done\n" {
				t.Fatalf("%+v\n%+v", ours, theirs)
			}
			var text strings.Builder
			for _, file := range ipctest.FilesIn(t, dir) {
				part, err := os.ReadFile(filepath.Join(dir, file))
				check(t, err)
				text.Write(part)
			}
			got, want := normalize(ours.trace), normalize(text.String())
			if len(want) < 68 || len(got) != len(want) {
				t.Errorf("strace shows %d calls, gshm-trace %d", len(want), len(got))
			}
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Errorf("call %d: %s\nstrace:  %s", i, got[i], want[i])
				}
			}
		})
	}
}

// normalize removes from lines what differs by taste or from run to run. It leaves out calls
// that have nothing to do with IPC, and waits that may or may not be necessary.
func normalize(text string) (lines []string) {
	selected := regexp.MustCompile(`^(shm|sem|msg|mq_|futex.*WAIT.*ETIMEDOUT|(open|unlink|link).*/dev/shm/|mmap.*MAP_SHARED, [0-9])`)
	n := newNames()
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if _, after, ok := strings.Cut(line, "] "); ok && line[0] == '[' { // our number of the process, and the duration
			line = after
			line = line[:max(0, strings.LastIndex(line, " <"))]
		}
		if !selected.MatchString(line) {
			continue
		}
		for _, r := range replacements() {
			line = r.pattern.ReplaceAllString(line, r.with)
		}
		lines = append(lines, n.rename(line))
	}
	return lines
}

type replacement struct {
	pattern *regexp.Regexp
	with    string
}

func replacements() (all []replacement) {
	for _, r := range [][2]string{
		{`([0-9a-f])<[^<>]*>`, "$1"},           // what we add to descriptors and addresses
		{` /\* .*? \*/`, ""},                   // comments
		{` \([A-Z][^()]*\)$`, ""},              // the text of an error
		{` += `, " = "},                        // alignment
		{`\bsem_(num|op|flg)=`, ""},            // as C would initialize it
		{`\b0x0+`, "0x"},                       // keys
		{`\bkey=1234\b`, "key=0x4d2"},          // strace: decimal
		{`\bkey=0\b`, "key=IPC_PRIVATE"},       //
		{`\b0000?\b`, "0"},                     // a mode without bits
		{`\bIPC_64\|`, ""},                     // a detail of old calls
		{`^(semctl.*), \[(.*)\]\)`, "$1, $2)"}, // a pointer to the union
		{`(SETVAL, )0x`, "$1"},                 // strace: an address
		{`\b(shm_[acd]|sem_[oc]|msg_[src])time=[0-9]+`, "${1}time=T"},
		{`\b(shm|msg)_(c|l|ls|lr)pid=[0-9]+`, "${1}_${2}pid=P"},
		{`^(msgrcv.*mtext=").*?(", |"}|"\.\.\.})`, "$1\"}"}, // strace: as much as there is room for
		{`^(msgrcv.*), 0, (IPC_NOWAIT\) = -1)`, "$1, $2"},   // strace: not for 32 bits
		{`^(msgrcv.*), (IPC_NOWAIT\) = -1)`, "$1, $2"},
		{`^(futex.*\{tv_sec=[0-9]+, tv_nsec=)[0-9]+`, "$1"},
		{`(GETPID|IPC_INFO)(.*) = [0-9]+$`, "$1$2 = N"},
		{`/sem\.[A-Za-z0-9]{6}"`, `/sem.RANDOM"`},
	} {
		all = append(all, replacement{regexp.MustCompile(r[0]), r[1]})
	}
	return all
}

// names renames identifiers and addresses in the order in which they appear.
type names struct{ ids, addresses []string }

func newNames() *names { return &names{} }

func (n *names) rename(line string) string {
	name, rest, _ := strings.Cut(line, "(")
	if head, id, ok := strings.Cut(line, " = "); ok && strings.HasSuffix(name, "get") && id[0] != '-' {
		line = head + " = ID" + number(&n.ids, name[:3]+id)
	} else if strings.Contains(line, "_INFO") { // the number is not used
		line = name + "(" + strings.TrimLeft(rest, "0123456789")
	} else if id, tail, ok := strings.Cut(rest, ", "); ok && regexp.MustCompile(`^(shmat|shmctl|sem.*op|semctl|msg...)$`).MatchString(name) {
		line = name + "(ID" + number(&n.ids, name[:3]+id) + ", " + tail
	}
	return regexp.MustCompile(`0x[0-9a-f]{6,}`).ReplaceAllStringFunc(line, func(a string) string { return "A" + number(&n.addresses, a) })
}

// number returns the place of a word in a list, to which it is added if necessary.
func number(list *[]string, word string) string {
	i := slices.Index(*list, word)
	if i < 0 {
		i = len(*list)
		*list = append(*list, word)
	}
	return strconv.Itoa(i)
}
