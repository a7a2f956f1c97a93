package integration_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayBeUnsafe returns all files that bypass Go's rules, with the reasons.
func mayBeUnsafe() map[string]string {
	const (
		kernel = "gives the kernel addresses of structures and buffers"
		pause  = "the processor's hint that a loop spins, for which Go has no word"
	)
	return map[string]string{
		"internal/abi/abi_linux.go":                 kernel,
		"internal/abi/futex_linux.go":               kernel,
		"cmd/extra/internal/tracer/child_linux.go":  kernel,
		"cmd/extra/internal/tracer/ptrace_linux.go": kernel,
		"internal/abi/call_ipc_linux.go":            kernel,
		"internal/abi/call_split_linux.go":          kernel,
		"internal/abi/mincore_linux.go":             kernel,
		"internal/abi/posix_linux.go":               kernel,
		"internal/abi/time_narrow_linux.go":         kernel,
		"internal/abi/time_wide_linux.go":           kernel,
		"internal/abi/procmap_linux.go":             kernel,
		"cmd/internal/addrspace/mmap_amd64.s":       "replaces the runtime's mmap before Go code can run",
		"cmd/internal/bench/cpus_linux.go":          kernel,
		"internal/ipctest/semtimedop_linux.go":      kernel,
		"internal/ipctest/refuse_linux.go":          kernel,
		"posix/sys_linux.go":                        "maps and unmaps at addresses",
		"cmd/internal/rejoin/rejoin_linux.go":       "runs in a child process in which neither Go's heap nor its scheduler may be used",
		"cmd/internal/procfs/address_linux.go":      "returns the address of memory, to find it in /proc/PID/maps",
		"internal/futex/futex.go":                   "a word in shared memory",
		"internal/memory/region.go":                 "makes a slice of attached or mapped memory, which Go does not manage",
		"internal/memory/view.go":                   "values of a type in shared memory; bounds, alignment and pointers are checked here",
		"internal/memory/prefault_linux.go":         "finds the page at which memory begins, and touches pages with an atomic addition of 0",
		"posix/word.go":                             "the half of a 64-bit word on which glibc's semaphores sleep",
		"shmring/layout.go":                         "header, words and bytes of a ring in a byte slice",
		"shmring/broadcast_layout.go":               "header, readers, index and bytes of a broadcast in a byte slice",
		"shmring/cell_layout.go":                    "header and values of a cell in a byte slice, and the bytes of a value without pointers",
		"shmring/service_layout.go":                 "header, calls and messages of a service in a byte slice",
		"shmsync/layout.go":                         "the words of a lock in a byte slice",
		"cmd/internal/render/cell.go":               "text and numbers in cells of four words, since listings have hundreds of thousands",
		"internal/spin/pause_386.s":                 pause,
		"internal/spin/pause_amd64.s":               pause,
		"internal/spin/pause_arm.s":                 pause,
		"internal/spin/pause_arm64.s":               pause,
	}
}

// TestUnsafe finds unsafe pointers, links to other packages' internals, assembly and C
// in what is built. Tests are exempt, since many play a peer without such rules; so are
// sizes and offsets, which are harmless.
func TestUnsafe(t *testing.T) {
	allowed := mayBeUnsafe()
	check(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || path != ".." && strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case entry.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		why, err := whyUnsafe(path)
		if why == "" || err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		if _, ok := allowed[name]; !ok {
			t.Errorf("%s: %s; do without, or list the file with its reason in mayBeUnsafe", name, why)
		}
		delete(allowed, name)
		return nil
	}))
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		t.Errorf("%s is listed but has nothing unsafe", name)
	}
}

// whyUnsafe returns what is unsafe in a file, or "".
func whyUnsafe(path string) (string, error) {
	switch filepath.Ext(path) {
	case ".s":
		return "it is assembly", nil
	case ".go":
	default:
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		return "", err
	}
	why := ""
	if bytes.Contains(text, []byte("\n//go:linkname ")) {
		why = "go:linkname"
	}
	for _, spec := range file.Imports {
		switch {
		case spec.Path.Value == `"C"`:
			why = "it imports C"
		case spec.Path.Value == `"unsafe"` && spec.Name != nil:
			why = "it imports unsafe under another name"
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && x.Name == "unsafe" && !constant(selector.Sel.Name) {
			why = "it uses unsafe." + selector.Sel.Name
		}
		return true
	})
	return why, nil
}

// constant reports whether a function of package unsafe is evaluated at compile time.
func constant(name string) bool { return name == "Sizeof" || name == "Offsetof" || name == "Alignof" }
