package sysv_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// conformance is the page that lists the promises and names their tests.
const conformance = "../docs/conformance.md"

// TestConformanceNamesTests checks that every test named in the tables exists. A test is
// in the folder that precedes its name, or else in the folder of the heading.
func TestConformanceNamesTests(t *testing.T) {
	text, err := os.ReadFile(conformance)
	check(t, err)
	named := regexp.MustCompile(`(?:([\w/]+) )?\b((?:Test|Fuzz)\w+)`)
	folder, count := "", 0
	tests := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			folder = strings.Trim(strings.Fields(heading)[0], "`:")
		}
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(line, -1) {
			dir := m[1]
			if dir == "" {
				dir = folder
			}
			if tests[dir] == nil {
				tests[dir] = testsOf(t, dir)
			}
			if !slices.Contains(tests[dir], m[2]) {
				t.Errorf("%s names %s, which is not in %s", conformance, m[2], dir)
			}
			count++
		}
	}
	if count < 200 {
		t.Errorf("only %d tests are named: is the document read as it is written?", count)
	}
}

// testsOf returns the names of the tests in a folder of the module.
func testsOf(t *testing.T, folder string) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../" + folder + "/*_test.go")
	check(t, err)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, file := range files {
		source, err := os.ReadFile(file)
		check(t, err)
		for _, m := range function.FindAllSubmatch(source, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names
}

// TestConformanceIsComplete compares the tables of errors with the manual: each error has
// a row, which names a test or says why there is none.
func TestConformanceIsComplete(t *testing.T) {
	rows := errorRows(t)
	for _, want := range []string{
		"shmget: EACCES EEXIST EINVAL ENFILE ENOENT ENOMEM ENOSPC EPERM",
		"shmat: EACCES EIDRM EINVAL ENOMEM",
		"shmdt: EINVAL",
		"shmctl: EACCES EFAULT EIDRM EINVAL ENOMEM EOVERFLOW EPERM",
		"semget: EACCES EEXIST EINVAL ENOENT ENOMEM ENOSPC",
		"semop: E2BIG EACCES EAGAIN EFAULT EFBIG EIDRM EINTR EINVAL ENOMEM ERANGE",
		"semctl: EACCES EFAULT EIDRM EINVAL EPERM ERANGE",
		"msgget: EACCES EEXIST ENOENT ENOMEM ENOSPC",
		"msgsnd: EACCES EAGAIN EFAULT EIDRM EINTR EINVAL ENOMEM",
		"msgrcv: E2BIG EACCES EFAULT EIDRM EINTR EINVAL ENOMSG ENOSYS",
		"msgctl: EACCES EFAULT EIDRM EINVAL EPERM",
		"shm_open: EACCES EEXIST EINVAL EMFILE ENAMETOOLONG ENFILE ENOENT",
		"ftruncate, fallocate: EBADF EFBIG EINTR EINVAL ENOSPC EPERM",
		"shm_unlink: EACCES ENAMETOOLONG ENOENT",
		"fchmod, fchown: EPERM",
		"mmap: EACCES EAGAIN EBADF EEXIST EINVAL ENFILE ENODEV ENOMEM EPERM",
		"mlock: EAGAIN EINVAL ENOMEM EPERM",
		"mprotect: EACCES EINVAL ENOMEM",
		"msync: EBUSY EINVAL ENOMEM",
		"memfd_create: EFAULT EINVAL EMFILE ENFILE ENOMEM EPERM",
		"sem_open: EACCES EEXIST EINVAL EMFILE ENAMETOOLONG ENFILE ENOENT ENOMEM",
		"sem_unlink: EACCES ENAMETOOLONG ENOENT",
		"sem_wait, sem_timedwait: EAGAIN EINTR EINVAL ETIMEDOUT",
		"sem_post: EINVAL EOVERFLOW",
		"mq_open: EACCES EEXIST EINVAL EMFILE ENAMETOOLONG ENFILE ENOENT ENOMEM ENOSPC",
		"mq_unlink: EACCES ENAMETOOLONG ENOENT",
		"mq_send: EAGAIN EBADF EINTR EINVAL EMSGSIZE ETIMEDOUT",
		"mq_receive: EAGAIN EBADF EINTR EINVAL EMSGSIZE ETIMEDOUT",
		"mq_getattr: EBADF",
	} {
		call, errnos, _ := strings.Cut(want, ": ")
		for _, errno := range strings.Fields(errnos) {
			row, ok := rows[call+" "+errno]
			switch {
			case !ok:
				t.Errorf("%s says nothing of %s %s", conformance, call, errno)
			case !regexp.MustCompile(`\bTest\w|not provoked[:,] \w|can't happen: \w|^as for \w`).MatchString(row):
				t.Errorf("%s names neither a test nor a reason for %s %s: %q", conformance, call, errno, row)
			}
		}
	}
}

// errorRows returns the last columns of the tables of errors, by call and error.
func errorRows(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(conformance)
	check(t, err)
	rows := map[string]string{}
	call := ""
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 { // four columns, and what is outside the outer bars
			continue
		}
		if c := strings.TrimSpace(cells[1]); c != "" {
			call = c
		}
		for _, errno := range strings.Split(cells[2], ",") {
			name := fmt.Sprint(call, " ", strings.TrimSpace(errno))
			rows[name] = strings.TrimSpace(cells[4] + rows[name])
		}
	}
	return rows
}
