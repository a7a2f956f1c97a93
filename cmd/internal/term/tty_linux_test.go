package term

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns the user side of a new pseudo-terminal.
func openTerminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatalf("unlock: %v", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatalf("number: %v", err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { tty.Close() })
	return tty
}

func TestTerminal(t *testing.T) {
	tty := openTerminal(t)
	if !IsTerminal(tty.Fd()) {
		t.Error("IsTerminal = false for a pseudo-terminal")
	}
	if got := Width(tty.Fd()); got != 0 {
		t.Errorf("Width = %d before a size is set, want 0", got)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 132}); err != nil {
		t.Fatal(err)
	}
	if got := Width(tty.Fd()); got != 132 {
		t.Errorf("Width = %d, want 132", got)
	}

	for _, tt := range []struct {
		noColor, term string
		want          bool
	}{
		{"", "xterm-256color", true},
		{"1", "xterm-256color", false},
		{"0", "xterm-256color", false},
		{"", "dumb", false},
		{"", "", false},
	} {
		t.Setenv("NO_COLOR", tt.noColor)
		t.Setenv("TERM", tt.term)
		if got := ColourEnabled(tty.Fd()); got != tt.want {
			t.Errorf("NO_COLOR=%q TERM=%q: ColourEnabled = %t, want %t", tt.noColor, tt.term, got, tt.want)
		}
	}
}

func TestNoTerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.Open(os.DevNull) // a character device, but not a terminal
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, f := range []*os.File{file, null} {
		if fd := f.Fd(); IsTerminal(fd) || Width(fd) != 0 || ColourEnabled(fd) {
			t.Errorf("%s: IsTerminal = %t, Width = %d, ColourEnabled = %t", f.Name(), IsTerminal(fd), Width(fd), ColourEnabled(fd))
		}
	}
	closed := file.Fd()
	file.Close()
	if IsTerminal(closed) || Width(closed) != 0 {
		t.Error("a closed descriptor is a terminal")
	}
}
