// Package imports determines which System V objects a program can use, from the
// functions that its ELF files import from shared libraries.
//
// Calls made by number, through syscall(2) or the program's own instructions, leave no
// name. If such calls are the rule (Go), or if scripts choose the functions (FFI), the file
// is assumed to use everything.
package imports

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"slices"
	"strings"
)

// Calls is a set of object kinds whose calls a file imports. The control calls (shmctl,
// semctl, msgctl) do not count: no program shares memory, locks or sends with them
// alone.
type Calls uint8

const (
	Segments Calls = 1 << iota // shmget, shmat
	Sets                       // semop, semtimedop
	Queues                     // msgsnd, msgrcv

	None Calls = 0
	All        = Segments | Sets | Queues
)

// A File is what is known about an ELF file.
type File struct {
	// Calls holds the kinds whose calls the file imports; All for an FFI.
	Calls Calls
	// Go is set if Go's linker made the file, perhaps together with C. Go makes system
	// calls by number.
	Go bool
	// Program is set if it is a dynamically linked program, not a library.
	Program bool
	// Name is its DT_SONAME, "" for a program.
	Name string
}

// ErrFormat is the error for a file without a dynamic symbol table, or with one that is
// too large or invalid.
var ErrFormat = errors.New("not an ELF file with dynamic symbols")

// functions maps the names in glibc and musl to calls; 32-bit systems have separate
// names for 64-bit times.
var functions = map[string]Calls{
	"shmget": Segments, "shmat": Segments,
	"semop": Sets, "semtimedop": Sets, "__semtimedop64": Sets, "__semtimedop_time64": Sets,
	"msgsnd": Queues, "msgrcv": Queues,
	"ffi_call": All,
}

// foreignCallers are libraries that call other libraries' functions by name without
// libffi.
var foreignCallers = [...]string{"libffi.", "libjvm.", "libluajit", "libcoreclr.", "libmono", "libjulia"}

// mostNames bounds the symbol names read into memory. The largest known tables, those of
// LLVM and browsers, take a few MiB.
const mostNames = 32 << 20

// Read reports what a file imports.
func Read(r io.ReaderAt) (file File, err error) {
	defer func() {
		if recover() != nil { // debug/elf is not hardened against malicious files
			file, err = File{}, ErrFormat
		}
	}()
	f, err := elf.NewFile(r)
	if err != nil {
		return File{}, ErrFormat
	}
	file.Go = f.Section(".go.buildinfo") != nil || f.Section(".note.go.buildid") != nil
	table := f.SectionByType(elf.SHT_DYNSYM)
	if table == nil {
		return file, ErrFormat
	}
	names, err := stringsOf(f, table)
	if err != nil {
		return file, err
	}
	if soname, err := f.DynString(elf.DT_SONAME); err == nil && len(soname) > 0 {
		file.Name = soname[0]
	}
	interpreted := slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	file.Program = interpreted && file.Name == "" // the C library has an interpreter too
	file.Calls, err = imported(f, names)
	if slices.ContainsFunc(foreignCallers[:], func(prefix string) bool { return strings.HasPrefix(file.Name, prefix) }) {
		file.Calls = All
	}
	return file, err
}

// stringsOf returns the names of a symbol table.
func stringsOf(f *elf.File, table *elf.Section) ([]byte, error) {
	if int(table.Link) >= len(f.Sections) {
		return nil, ErrFormat
	}
	section := f.Sections[table.Link]
	if section.Size > mostNames || table.Size > mostNames {
		return nil, ErrFormat
	}
	names, err := section.Data()
	if err != nil {
		return nil, ErrFormat
	}
	return names, nil
}

// imported returns the calls that f imports. Most files contain none of the names, so
// their symbols need not be parsed.
func imported(f *elf.File, names []byte) (calls Calls, err error) {
	named := false
	for function := range functions {
		named = named || bytes.Contains(names, append([]byte(function), 0))
	}
	if !named {
		return None, nil
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return None, ErrFormat
	}
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF {
			calls |= functions[s.Name]
		}
	}
	return calls, nil
}
