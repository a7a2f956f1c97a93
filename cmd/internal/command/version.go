package command

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Version is the version of the next release, or of this one in the commit that its tag
// names. It is set only here: packages, archives and the drop-in programs use it too.
const Version = "0.1.0-dev"

// A build is what a program knows about how it was built. A string is empty if it is
// not known.
type build struct {
	version  string
	revision string // of the commit, in full if the program was built in a clone
	date     string // of the commit, RFC 3339
	modified bool   // the clone had changes that were not committed
}

// readBuild reads the build information that the go command stores in a program. Main's
// version is a release, a pseudo-version of a commit without a tag, or (devel). Only a
// release has a version of its own; other builds have Version and their revision.
func readBuild(info *debug.BuildInfo) build {
	var b build
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.revision = s.Value
		case "vcs.time":
			b.date = s.Value
		case "vcs.modified":
			b.modified = s.Value == "true"
		}
	}
	main, _, _ := strings.Cut(info.Main.Version, "+") // +dirty, which vcs.modified says too
	when, revision, pseudo := parsePseudo(main)
	if b.revision == "" { // go install MODULE@COMMIT
		b.revision, b.date = revision, when
	}
	if main != "" && main != "(devel)" && !pseudo {
		b.version = strings.TrimPrefix(main, "v")
	} else {
		b.version = Version
		if b.revision != "" {
			const short = 12 // as in pseudo-versions
			b.version += "+" + b.revision[:min(short, len(b.revision))]
		}
	}
	if b.modified {
		b.version += "-dirty"
	}
	return b
}

// parsePseudo returns the time and the revision of a pseudo-version, and whether it is
// one: it ends with a time and twelve digits of a revision, as in
// v0.1.1-0.20260102150405-0123456789ab.
func parsePseudo(version string) (when, revision string, ok bool) {
	rest, revision, _ := cutLast(version, "-")
	_, stamp, _ := cutLast(rest, "-")
	if _, after, found := cutLast(stamp, "."); found {
		stamp = after
	}
	t, err := time.Parse("20060102150405", stamp)
	if err != nil || len(revision) != 12 || strings.Trim(revision, "0123456789abcdef") != "" {
		return "", "", false
	}
	return t.Format(time.RFC3339), revision, true
}

// cutLast is strings.Cut at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// printVersion prints what readBuild finds in this program, for the program called name.
func printVersion(w io.Writer, name string) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	b := readBuild(info)
	_, err := fmt.Fprintf(w, "%s version %s\nrevision %s\ndate %s\ngo %s %s/%s\n",
		name, b.version, known(b.revision), known(b.date), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

func known(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
