package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// cReader and cWriter compile the C programs of testdata. undo selects semaphore
// functions with or without SEM_UNDO.
func cReader(t *testing.T, undo string) []string {
	return compileClassic(t, "testdata/classic/reader.c", undo)
}

func cWriter(t *testing.T, undo string) []string {
	return compileClassic(t, "testdata/classic/writer.c", undo)
}

func compileClassic(t *testing.T, source, undo string) []string {
	t.Helper()
	return []string{ipctest.Compile(t, source, "testdata/classic/sem.c", "-w", "-Itestdata/classic", "-DUNDO="+undo)}
}

// printedReader and printedWriter compile the programs as printed in the document.
func printedReader(t *testing.T, undo string) []string {
	return compilePrinted(t, "reader.c", `printf("\nMemory attached`, undo)
}

func printedWriter(t *testing.T, undo string) []string {
	return compilePrinted(t, "writer.c", `printf("Enter some text: ")`, undo)
}

func compilePrinted(t *testing.T, name, mark, undo string) []string {
	t.Helper()
	source := filepath.Join(t.TempDir(), name)
	program := ipctest.Document(t, "#include <sys/types.h>", mark, "}")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	return compileClassic(t, source, undo)
}

// testClassicPair: a writer and a reader exchange two lines and the end, and the reader
// removes both objects. The test gives the reader time: nothing in this protocol keeps a
// writer from overwriting an unread line.
func testClassicPair(t *testing.T, writer, reader []string) {
	r := start(t, reader...)
	r.hear(`^Memory attached at 0x[0-9a-f]+$`)
	awaitSet(t)
	set := theSet(t)
	waiters(t, set, 1)
	segment := only(t, collect(t, sysv.Segments()))
	want(t, "key and size", []any{segment.Key, segment.Size}, []any{sysv.Key(1234), 4096})

	w := start(t, writer...)
	w.hear(`^Memory attached at 0x[0-9a-f]+$`)
	for _, line := range []string{"hello", "你好, end"} {
		w.tell(line)
		want(t, "line", r.line(), "You wrote: "+line)
		waiters(t, set, 1)
	}
	w.tell("end of it") // every line that begins with "end" is the end
	want(t, "the rest", r.ends(0), "You wrote: end of it\n")
	w.ends(0)
	r.says("")
	w.says("")
}

// testClassicRefuses writes lines that the classic protocol cannot pass.
func testClassicRefuses(t *testing.T, gshm string) {
	reader := start(t, gshm, "demo", "reader", "--classic")
	reader.hear("^Memory")

	writer := start(t, gshm, "demo", "writer", "--classic")
	writer.tell(strings.Repeat("x", 4095))
	writer.ends(1)
	writer.says(`gshm: a line of 4095 bytes does not fit: the classic protocol passes at most 4094\n`)

	writer = start(t, gshm, "demo", "writer", "--classic")
	writer.tell("a\x00b")
	writer.ends(1)
	writer.says(`gshm: a line with a zero byte cannot be passed: the classic protocol ends a line there\n`)

	// The longest line that fits; the reader is still there.
	writer = start(t, gshm, "demo", "writer", "--classic")
	writer.tell(strings.Repeat("x", 4094))
	want(t, "line", reader.line(), "You wrote: "+strings.Repeat("x", 4094))
	waiters(t, theSet(t), 1)
	writer.tell("end")
	writer.ends(0)
	want(t, "the rest", reader.ends(0), wrote("end"))
}

// testClassicInterrupted: the last one to leave removes the objects.
func testClassicInterrupted(t *testing.T, gshm string) {
	for range 2 {
		reader := start(t, gshm, "demo", "reader", "--classic")
		reader.hear("^Memory")
		writer := start(t, gshm, "demo", "writer", "--classic")
		writer.hear("^Memory")
		writer.signal(unix.SIGINT)
		writer.ends(0)
		waiters(t, theSet(t), 1) // the reader is still there
		reader.signal(unix.SIGTERM)
		reader.ends(0)
		if left := objects(t.Fatal); left != nil {
			t.Errorf("left behind: %s", left)
		}
	}
	// A single writer, whose input ends.
	writer := start(t, gshm, "demo", "writer", "--classic")
	writer.feed("")
	writer.ends(0)
}
