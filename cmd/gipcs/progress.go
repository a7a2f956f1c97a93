package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// progress returns what shows on a terminal how far a long copy has come, nil
// elsewhere. What takes less than a moment is not shown.
func progress(c *cli.Context) func(what string, done, total int64) {
	if !command.IsTerminal(c.App.ErrWriter) {
		return nil
	}
	const interval = 200 * time.Millisecond
	last := time.Now()
	shown := false
	return func(what string, done, total int64) {
		if done < total && time.Since(last) >= interval {
			last, shown = time.Now(), true
			fmt.Fprintf(c.App.ErrWriter, "\r%s: %s of %s \x1b[K", what, units.FormatSize(uint64(done)), units.FormatSize(uint64(total)))
		}
		if done == total && shown {
			shown = false
			fmt.Fprint(c.App.ErrWriter, "\r\x1b[K")
		}
	}
}
