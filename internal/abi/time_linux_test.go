package abi

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"
)

// TestTimesOf64Bits checks that on 32-bit architectures, a function that makes a call with
// 32-bit times first tries the call with 64-bit times. A kernel without
// CONFIG_COMPAT_32BIT_TIME has only the 64-bit call, and a kernel before Linux 5.1 only
// the 32-bit call.
func TestTimesOf64Bits(t *testing.T) {
	dirs := []string{".", "../futex", "../interrupt", "../../sysv", "../../posix", "../../semops", "../../shmring", "../../shmsync"}
	calls := 0
	for _, arch := range []string{"386", "arm", "mips", "mipsle"} {
		where := build.Default
		where.GOOS, where.GOARCH, where.CgoEnabled = "linux", arch, false
		for _, dir := range dirs {
			p, err := where.ImportDir(dir, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range p.GoFiles {
				calls += checkTimes(t, filepath.Join(dir, name))
			}
		}
	}
	if calls == 0 {
		t.Error("no such call was found")
	}
}

// with32 holds the calls with 32-bit times that have a variant with 64-bit times.
var with32 = map[string]bool{
	"SYS_FUTEX": true, "SYS_SEMTIMEDOP": true, "SYS_MQ_TIMEDSEND": true, "SYS_MQ_TIMEDRECEIVE": true,
	"SYS_PPOLL": true, "SYS_PSELECT6": true, "SYS_CLOCK_GETTIME": true, "SYS_CLOCK_NANOSLEEP": true,
}

// checkTimes checks the functions of a file, and returns how many calls it has found.
func checkTimes(t *testing.T, path string) (found int) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		var before []string
		ast.Inspect(fn, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			name := s.Sel.Name
			if with32[name] {
				found++
				if !slices.Contains(before, name+"_TIME64") && !slices.Contains(before, name+"64") {
					t.Errorf("%s: %s calls %s, whose times have 32 bits", path, fn.Name.Name, name)
				}
			}
			before = append(before, name)
			return true
		})
	}
	return found
}
