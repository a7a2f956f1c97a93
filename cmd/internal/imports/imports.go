// Package imports tells which System V objects a program can use, by the functions
// that its ELF files take from shared libraries.
//
// A call made by number, through syscall(2) or an instruction of the program's own,
// leaves no name. Of files of which that is the rule (what Go makes) or that call what
// their scripts name (FFI) everything is assumed.
package imports

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"slices"
	"strings"
)

// Calls is a set of kinds of objects that a file has the calls for. The calls that
// only control an object (shmctl, semctl, msgctl) do not count: nobody shares memory,
// locks or sends by them.
type Calls uint8

const (
	Segments Calls = 1 << iota // shmget, shmat
	Sets                       // semop, semtimedop
	Queues                     // msgsnd, msgrcv

	None Calls = 0
	All        = Segments | Sets | Queues
)

// A File is what is known of an ELF file.
type File struct {
	// Calls are those that it imports; All if it is an FFI.
	Calls Calls
	// Go tells that Go's linker made it, or put it together with C. Go makes system
	// calls by number.
	Go bool
	// Program tells that it is a dynamically linked program, no library.
	Program bool
	// Name is its DT_SONAME, "" of a program.
	Name string
}

// ErrFormat is returned for a file that has no table of the symbols that it imports,
// or one that is too large or makes no sense.
var ErrFormat = errors.New("not an ELF file with dynamic symbols")

// functions are the calls by the names that glibc and musl have for them; on 32 bits
// those that take a time of 64 bits have names of their own.
var functions = map[string]Calls{
	"shmget": Segments, "shmat": Segments,
	"semop": Sets, "semtimedop": Sets, "__semtimedop64": Sets, "__semtimedop_time64": Sets,
	"msgsnd": Queues, "msgrcv": Queues,
	"ffi_call": All,
}

// foreignCallers are libraries that call functions of other libraries by name,
// without libffi.
var foreignCallers = [...]string{"libffi.", "libjvm.", "libluajit", "libcoreclr.", "libmono", "libjulia"}

// mostNames bounds the names that are read into memory. The largest known, those of
// LLVM and of browsers, have a few MiB.
const mostNames = 32 << 20

// Read reads what a file imports.
func Read(r io.ReaderAt) (file File, err error) {
	defer func() {
		if recover() != nil { // debug/elf is not made for files by enemies
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
	file.Program = interpreted && file.Name == "" // the C library has an interpreter, too
	file.Calls, err = imported(f, names)
	if slices.ContainsFunc(foreignCallers[:], func(prefix string) bool { return strings.HasPrefix(file.Name, prefix) }) {
		file.Calls = All
	}
	return file, err
}

// stringsOf returns the names of a table of symbols.
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

// imported returns the calls that f imports. Most files have none of the names at
// all, and then their symbols need not be read.
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
