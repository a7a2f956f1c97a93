//go:build linux

package main

import (
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/command/mantest"
)

// TestManPage: the man page names every command and flag, and no others.
func TestManPage(t *testing.T) { mantest.Check(t, app(), "../../docs/man/gipcs.1") }
