package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/internal/command"
	"github.com/sysvipc/gipc/internal/explain"
	"github.com/sysvipc/gipc/internal/ref"
	"github.com/sysvipc/gipc/internal/units"
	"github.com/sysvipc/gipc/sysv"
)

func mkCommand() *cli.Command {
	return &cli.Command{
		Name:  "mk",
		Usage: "make an object and print it as a REF",
		Description: "One of --shmem, --semaphore, --values and --queue says what to make. Without --key it\n" +
			"gets a key of the program's choice that nobody has.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "shmem", Aliases: []string{"M"}, Usage: "a segment of `SIZE` bytes"},
			&cli.StringFlag{Name: "semaphore", Aliases: []string{"S"}, Usage: "a set of `N` semaphores, all zero"},
			&cli.StringFlag{Name: "values", Usage: "a set of semaphores with the values `LIST`, such as 1,0,10"},
			&cli.BoolFlag{Name: "queue", Aliases: []string{"Q"}, Usage: "a message queue", DisableDefaultText: true},
			&cli.StringFlag{Name: "mode", Aliases: []string{"p"}, Value: "0644", Usage: "permission bits, `OCTAL`"},
			&cli.StringFlag{Name: "key", Aliases: []string{"k"}, Usage: "a key as a `REF` (0x4d2, key:1234, ftok:PATH), or \"private\" for none"},
			&cli.BoolFlag{Name: "exclusive", Aliases: []string{"x"}, Usage: "fail if the key is taken", DisableDefaultText: true},
			&cli.StringFlag{Name: "qbytes", Usage: "`SIZE` in bytes that a queue may hold"},
			command.HugeFlag(),
		}, command.OwnerFlags()...),
		Action: mk,
	}
}

// A recipe is an object to be made: how, and what has to be set afterwards.
type recipe struct {
	kind      ref.Kind
	key       sysv.Key
	keyGiven  bool
	exclusive bool
	mode      fs.FileMode
	size      int64                 // of a segment
	huge      int64                 // of its pages
	nsems     uint64                // of a set
	values    []uint16              // of its semaphores
	qbytes    uint64                // of a queue, 0 for the system's default
	owner     func(*sysv.Ownership) // nil for the caller
}

func mk(c *cli.Context) error {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return err
	}
	r, err := readRecipe(c)
	if err != nil {
		return command.Usage(err)
	}
	id, err := r.make()
	if err != nil {
		return &explain.Creation{Size: r.size, NSems: int(r.nsems), Huge: r.huge != 0, Err: err}
	}
	_, err = fmt.Fprintf(c.App.Writer, "%v:%d\n", r.kind, id)
	return err
}

func readRecipe(c *cli.Context) (r recipe, err error) {
	if err := r.readKind(c); err != nil {
		return r, err
	}
	if c.IsSet("qbytes") {
		n, err := command.SizeFlag(c, "qbytes")
		if err != nil {
			return r, err
		}
		if r.kind != ref.Msg {
			return r, errors.New("--qbytes is for queues")
		}
		r.qbytes = uint64(n)
	}
	if r.huge, err = command.HugePages(c); err != nil {
		return r, err
	}
	if r.huge != 0 && r.kind != ref.Shm {
		return r, errors.New("--huge is for segments")
	}
	if r.mode, err = command.ModeFlag(c, "mode"); err != nil {
		return r, err
	}
	if r.owner, err = command.Owner(c); err != nil {
		return r, err
	}
	r.exclusive, r.keyGiven = c.Bool("exclusive"), c.IsSet("key")
	if r.keyGiven {
		if r.key, err = readNewKey(c.String("key")); err != nil {
			return r, fmt.Errorf("--key: %w", err)
		}
	}
	return r, nil
}

// readKind reads which kind of object is wanted, and how big.
func (r *recipe) readKind(c *cli.Context) (err error) {
	chosen := 0
	for _, flag := range []string{"shmem", "semaphore", "values", "queue"} {
		if c.IsSet(flag) {
			chosen++
		}
	}
	if chosen != 1 {
		return errors.New("say what to make with one of --shmem, --semaphore, --values and --queue")
	}
	switch {
	case c.IsSet("shmem"):
		r.kind = ref.Shm
		r.size, err = command.SizeFlag(c, "shmem")
	case c.IsSet("semaphore"):
		r.kind = ref.Sem
		r.nsems, err = units.ParseUint("number of semaphores", c.String("semaphore"), math.MaxInt32)
		// More than semop(2) can number are refused all the same.
		r.values = make([]uint16, min(r.nsems, math.MaxUint16+2))
	case c.IsSet("values"):
		r.kind = ref.Sem
		r.values, err = readValues(c.String("values"))
		r.nsems = uint64(len(r.values))
	default:
		r.kind = ref.Msg
	}
	return err
}

func readValues(text string) ([]uint16, error) {
	var values []uint16
	for word := range strings.SplitSeq(text, ",") {
		n, err := units.ParseUint("value of a semaphore", word, math.MaxInt16)
		if err != nil {
			return nil, err
		}
		values = append(values, uint16(n))
	}
	return values, nil
}

// readNewKey reads the key that an object is to be made with.
func readNewKey(text string) (sysv.Key, error) {
	if text == "private" {
		return sysv.Private, nil
	}
	r, err := ref.Parse(text)
	if err == nil && r.Form != ref.ByKey {
		err = fmt.Errorf("%q is no key; write 0x4d2, key:1234, ftok:PATH[:PROJ] or private", text)
	}
	return r.Key, err
}

// make makes the object. What it made and can not finish it removes.
func (r *recipe) make() (id int, err error) {
	if r.keyGiven {
		return r.makeWith(r.key, r.exclusive)
	}
	for {
		key := sysv.Key(rand.Uint32())
		if key == sysv.Private {
			continue
		}
		if id, err := r.makeWith(key, true); !errors.Is(err, fs.ErrExist) {
			return id, err
		}
	}
}

func (r *recipe) makeWith(key sysv.Key, exclusive bool) (int, error) {
	switch r.kind {
	case ref.Shm:
		return r.makeSegment(key, exclusive)
	case ref.Sem:
		return r.makeSet(key, exclusive)
	default:
		return r.makeQueue(key, exclusive)
	}
}

func (r *recipe) makeSegment(key sysv.Key, exclusive bool) (int, error) {
	options := sysv.SegmentOptions{Mode: r.mode, Exclusive: true, HugePages: r.huge}
	s, err := sysv.CreateSegment(key, r.size, options)
	if errors.Is(err, fs.ErrExist) && !exclusive {
		options.Exclusive = false
		s, err = sysv.CreateSegment(key, r.size, options)
		return int(s), err
	}
	if err == nil && r.owner != nil {
		err = finish(s, r.owner, s.Stat, s.Set)
	}
	return int(s), err
}

func (r *recipe) makeSet(key sysv.Key, exclusive bool) (int, error) {
	s, err := sysv.OpenOrCreateSet(key, r.values, sysv.SetOptions{Mode: r.mode, Exclusive: true})
	if errors.Is(err, fs.ErrExist) && !exclusive {
		s, err = sysv.OpenOrCreateSet(key, r.values, sysv.SetOptions{Mode: r.mode})
		return int(s), err
	}
	if err == nil && r.owner != nil {
		err = finish(s, r.owner, s.Stat, s.Set)
	}
	return int(s), err
}

func (r *recipe) makeQueue(key sysv.Key, exclusive bool) (int, error) {
	q, err := sysv.CreateQueue(key, sysv.QueueOptions{Mode: r.mode, Exclusive: true})
	if errors.Is(err, fs.ErrExist) && !exclusive {
		q, err = sysv.CreateQueue(key, sysv.QueueOptions{Mode: r.mode})
		return int(q), err
	}
	if err == nil && (r.owner != nil || r.qbytes != 0) {
		err = finish(q, r.owner, q.Stat, func(o sysv.Ownership) error {
			qbytes := r.qbytes
			if qbytes == 0 {
				info, err := q.Stat()
				if err != nil {
					return err
				}
				qbytes = info.QBytes
			}
			return q.Set(o, qbytes)
		})
	}
	return int(q), err
}

// finish gives a new object its owner, or removes it.
func finish[I interface{ Ownership() sysv.Ownership }](
	object interface{ Remove() error }, change func(*sysv.Ownership),
	stat func() (I, error), set func(sysv.Ownership) error,
) error {
	info, err := stat()
	if err == nil {
		owner := info.Ownership()
		if change != nil {
			change(&owner)
		}
		err = set(owner)
	}
	if err != nil {
		return errors.Join(err, object.Remove())
	}
	return nil
}
