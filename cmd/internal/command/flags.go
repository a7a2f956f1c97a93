package command

import (
	"fmt"
	"io/fs"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/sysv"
)

// SizeFlag returns the value of a flag that holds a size.
func SizeFlag(c *cli.Context, name string) (int64, error) {
	n, err := units.ParseSize(c.String(name))
	if err != nil {
		return 0, Usagef("--%s: %w", name, err)
	}
	return n, nil
}

// ModeFlag returns the value of a flag that holds permission bits.
func ModeFlag(c *cli.Context, name string) (fs.FileMode, error) {
	mode, err := units.ParseMode(c.String(name))
	if err != nil {
		return 0, Usagef("--%s: %w", name, err)
	}
	return fs.FileMode(mode), nil
}

// HugeFlag returns the flag --huge[=SIZE]; HugePages returns its value.
func HugeFlag() cli.Flag {
	return &cli.GenericFlag{
		Name: "huge", Value: &optionalValue{},
		Usage: "use huge pages, of `SIZE` if given",
	}
}

// HugePages returns the value of --huge for sysv.SegmentOptions.
func HugePages(c *cli.Context) (int64, error) {
	if !c.IsSet("huge") {
		return 0, nil
	}
	switch text := c.Generic("huge").(*optionalValue).text; text {
	case "true":
		return sysv.DefaultHugePages, nil
	default:
		size, err := units.ParseSize(text)
		if err == nil && (size < 1 || size&(size-1) != 0) {
			err = fmt.Errorf("%q is not a power of two", text)
		}
		if err != nil {
			return 0, Usagef("--huge: %w", err)
		}
		return size, nil
	}
}

// An optionalValue is the value of a flag that may stand alone.
type optionalValue struct{ text string }

// Set stores a value; package flag passes "true" for a flag that stands alone.
func (v *optionalValue) Set(s string) error {
	v.text = s
	return nil
}

func (v *optionalValue) String() string { return v.text }

// IsBoolFlag tells package flag that the value is optional.
func (v *optionalValue) IsBoolFlag() bool { return true }

// OwnerFlags returns the flags --uid and --gid, which Owner reads.
func OwnerFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "uid", Aliases: []string{"u"}, Usage: "owner, a number or a name (`USER`)"},
		&cli.StringFlag{Name: "gid", Aliases: []string{"g"}, Usage: "group, a number or a name (`GROUP`)"},
	}
}

// Owner returns a function that applies --uid and --gid to an ownership, or nil if
// neither is given.
func Owner(c *cli.Context) (change func(*sysv.Ownership), err error) {
	var uid, gid uint32
	if c.IsSet("uid") {
		if uid, err = UserID(c.String("uid")); err != nil {
			return nil, Usagef("--uid: %w", err)
		}
	}
	if c.IsSet("gid") {
		if gid, err = gidOf(c.String("gid")); err != nil {
			return nil, Usagef("--gid: %w", err)
		}
	}
	if !c.IsSet("uid") && !c.IsSet("gid") {
		return nil, nil
	}
	return func(o *sysv.Ownership) {
		if c.IsSet("uid") {
			o.UID = uid
		}
		if c.IsSet("gid") {
			o.GID = gid
		}
	}, nil
}

// UserID returns the uid for a number or a name.
func UserID(s string) (uint32, error) {
	return accountOf(s, "user", account.New().UserID)
}

// gidOf returns the gid for a number or a name.
func gidOf(s string) (uint32, error) {
	return accountOf(s, "group", account.New().GroupID)
}

func accountOf(s, what string, lookup func(name string) (uint32, bool)) (uint32, error) {
	if _, err := strconv.ParseInt(s, 10, 64); err != nil {
		id, ok := lookup(s)
		if !ok {
			return 0, fmt.Errorf("there is no %s %q", what, s)
		}
		return id, nil
	}
	// The highest number is the kernel's -1, "unchanged".
	id, err := strconv.ParseUint(s, 10, 32)
	if err != nil || id == 1<<32-1 {
		return 0, fmt.Errorf("%s id %s is not between 0 and 4294967294", what, s)
	}
	return uint32(id), nil
}
