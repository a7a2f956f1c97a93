// Multicall is the four programs alone, for measuring them.
package main

import (
	"os"
	"path/filepath"

	"github.com/sysvipc/gipc/internal/utillinux"
	"github.com/sysvipc/gipc/internal/utillinux/program"
)

func main() {
	run := utillinux.Lookup(filepath.Base(os.Args[0]))
	if run == nil {
		os.Exit(2)
	}
	os.Exit(run(os.Args[1:], program.Env{
		Name: os.Args[0], Version: "0", Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv,
	}))
}
