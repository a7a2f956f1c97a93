package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

// Version is the version of the format. It grows when a reader of the previous version
// would misunderstand a snapshot, and not when a field is added.
const Version = 1

// A Header says where and when a snapshot was taken, and what it may lack.
type Header struct {
	Program string // version of the gipcs that wrote it
	Host    string
	BootID  string // of the running kernel, never ""
	// Namespace is the inode number of the IPC namespace.
	Namespace uint64
	// PIDNamespace and UserNamespace are those of the writer, 0 if unknown. They decide which
	// numbers it saw for processes and users.
	PIDNamespace, UserNamespace uint64
	// ShmDevice is the device number of /dev/shm, 0 if there is none.
	ShmDevice uint64
	Taken     time.Time
	// Uptime is the time since the boot, including the time that the machine slept. Unlike
	// Taken it does not change when the clock is set.
	Uptime time.Duration
	UID    uint32 // effective uid of the writer, which decides what it could see
	// Kinds are the kinds of objects that were listed completely.
	Kinds     []ref.Kind
	Selection Selection
	Unseen    []string // what could not be seen, for people
	Objects   int      // number of objects
}

// A Selection says which objects are in a snapshot.
type Selection struct {
	// Conditions are expressions that each object satisfies; none means all objects.
	Conditions []string
	// WithMessages and IgnoreHidden are the flags of these names, under which orphans were
	// judged.
	WithMessages, IgnoreHidden bool
}

// Equal reports whether two selections are the same.
func (s Selection) Equal(t Selection) bool {
	return slices.Equal(s.Conditions, t.Conditions) && s.WithMessages == t.WithMessages && s.IgnoreHidden == t.IgnoreHidden
}

// secondsDigits are the decimals of a time since the boot: nanoseconds.
const secondsDigits = 9

// record returns the header's fields for package render.
func (h *Header) record() (columns []render.Column, cells []render.Cell) {
	add := func(name string, c render.Cell) {
		columns, cells = append(columns, render.Column{Name: name}), append(cells, c)
	}
	unless0 := func(n uint64) render.Cell {
		if n == 0 {
			return render.Unknown()
		}
		return render.Uint(n)
	}
	kinds := make([]string, len(h.Kinds))
	for i, k := range h.Kinds {
		kinds[i] = k.String()
	}
	add("gipcs_snapshot", render.Int(Version))
	add("gipcs_version", render.Text(h.Program))
	add("host", render.Text(h.Host))
	add("boot_id", render.Text(h.BootID))
	add("namespace", render.Uint(h.Namespace))
	add("pid_namespace", unless0(h.PIDNamespace))
	add("user_namespace", unless0(h.UserNamespace))
	add("shm_device", unless0(h.ShmDevice))
	add("time", render.Time(h.Taken))
	add("boottime", render.Float(h.Uptime.Seconds(), secondsDigits))
	add("uid", render.Uint(uint64(h.UID)))
	add("kinds", texts(kinds))
	add("conditions", texts(h.Selection.Conditions))
	add("with_messages", render.Bool(h.Selection.WithMessages))
	add("ignore_hidden", render.Bool(h.Selection.IgnoreHidden))
	add("unseen", texts(h.Unseen))
	add("objects", render.Int(int64(h.Objects)))
	return columns, cells
}

func texts(list []string) render.Cell {
	cells := make([]render.Cell, len(list))
	for i, s := range list {
		cells[i] = render.Text(s)
	}
	return render.List(cells...)
}

// errForeign is the error for a file that gipcs snapshot did not write.
var errForeign = errors.New("this is not a snapshot of gipcs")

// parseHeader parses the first line of a snapshot.
func parseHeader(line []byte) (*Header, error) {
	var v struct {
		Version      *int      `json:"gipcs_snapshot"`
		Program      string    `json:"gipcs_version"`
		Host         string    `json:"host"`
		BootID       string    `json:"boot_id"`
		Namespace    uint64    `json:"namespace"`
		PIDs         uint64    `json:"pid_namespace"`
		Users        uint64    `json:"user_namespace"`
		ShmDevice    uint64    `json:"shm_device"`
		Taken        time.Time `json:"time"`
		Uptime       float64   `json:"boottime"`
		UID          uint32    `json:"uid"`
		Kinds        []string  `json:"kinds"`
		Conditions   []string  `json:"conditions"`
		WithMessages bool      `json:"with_messages"`
		IgnoreHidden bool      `json:"ignore_hidden"`
		Unseen       []string  `json:"unseen"`
		Objects      int       `json:"objects"`
	}
	// A newer format may have other types, so look at the version first.
	var format struct {
		Version *int `json:"gipcs_snapshot"`
	}
	if err := json.Unmarshal(line, &format); err != nil || format.Version == nil {
		return nil, errForeign
	}
	if *format.Version != Version {
		return nil, fmt.Errorf("it has format version %d, and this gipcs reads version %d", *format.Version, Version)
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return nil, fmt.Errorf("the header is damaged: %w", err)
	}
	const mostSeconds = 1 << 32 // 136 years
	switch {
	case v.BootID == "":
		return nil, damaged("boot_id")
	case v.Namespace == 0:
		return nil, damaged("namespace")
	case v.Taken.IsZero():
		return nil, damaged("time")
	case !(v.Uptime > 0 && v.Uptime < mostSeconds):
		return nil, damaged("boottime")
	case v.Objects < 0:
		return nil, damaged("objects")
	}
	h := &Header{
		Program: v.Program, Host: v.Host, BootID: v.BootID, Namespace: v.Namespace, PIDNamespace: v.PIDs, UserNamespace: v.Users, ShmDevice: v.ShmDevice,
		Taken: v.Taken, Uptime: time.Duration(v.Uptime * float64(time.Second)), UID: v.UID, Unseen: v.Unseen, Objects: v.Objects,
		Selection: Selection{Conditions: v.Conditions, WithMessages: v.WithMessages, IgnoreHidden: v.IgnoreHidden},
	}
	for _, word := range v.Kinds {
		kind, ok := kindOf(word)
		if !ok {
			return nil, damaged("kinds")
		}
		h.Kinds = append(h.Kinds, kind)
	}
	return h, nil
}

func damaged(field string) error {
	return fmt.Errorf("the header is damaged: %s is missing or wrong", field)
}

func kindOf(word string) (ref.Kind, bool) {
	for _, k := range ref.Kinds() {
		if k.String() == word {
			return k, true
		}
	}
	return 0, false
}
