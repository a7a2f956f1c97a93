package shmring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/sysvipc/gipc/internal/memory"
)

// ErrNoServer means that no server has taken the request, and none will: the request was
// withdrawn, and may be sent again.
var ErrNoServer = errors.New("no process serves")

// A ServerError is the text of the error that the server answered with.
type ServerError string

func (e ServerError) Error() string { return string(e) }

// ServiceLimits are the sizes of a Service, which all its processes share. A field of 0
// accepts any value; a new service gets the value in parentheses.
type ServiceLimits struct {
	MaxMessage int // bytes of the longest request or reply, rounded up to a multiple of 64 (16 KiB)
	Clients    int // clients that can join at a time, at most 64 (64)
	Calls      int // calls that a client can make at a time, at most 64 (16)
}

// orDefault replaces zeros.
func (l ServiceLimits) orDefault() ServiceLimits {
	return ServiceLimits{
		MaxMessage: (cmp.Or(l.MaxMessage, 16<<10) + unit - 1) &^ (unit - 1),
		Clients:    cmp.Or(l.Clients, slotCount),
		Calls:      cmp.Or(l.Calls, 16),
	}
}

// check returns ErrSize if no service can have these limits.
func (l ServiceLimits) check() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("shmring: %w: "+format, append([]any{ErrSize}, args...)...)
	}
	switch {
	case l.MaxMessage < unit || l.MaxMessage%unit != 0 || uint64(l.MaxMessage) > maxServiceSize:
		return refuse("MaxMessage is %d, not a multiple of %d up to %d", l.MaxMessage, unit, uint64(maxServiceSize))
	case l.Clients < 1 || l.Clients > slotCount:
		return refuse("Clients is %d, not 1 to %d", l.Clients, slotCount)
	case l.Calls < 1 || l.Calls > maxCalls:
		return refuse("Calls is %d, not 1 to %d", l.Calls, maxCalls)
	case l.size() > min(maxServiceSize, math.MaxInt):
		return refuse("%+v take %d bytes, more than %d", l, l.size(), uint64(min(maxServiceSize, math.MaxInt)))
	}
	return nil
}

// A Service passes requests of up to 64 clients to one server, and its replies back. Clients
// and the server may be in different processes.
//
// Each call has memory of its own for its request and its reply. So a reply always has room:
// a client that does not fetch it stalls nobody. Like a Ring, a Service holds one open
// descriptor. A Service of CreateServiceIn or OpenServiceIn keeps its memory mapped while
// one of its handles is open. Several goroutines may use a Service at a time.
type Service struct {
	base
	limits ServiceLimits
	header *serviceHeader
	desks  []desk
	calls  []call
	data   []byte
}

// OpenOrCreateService opens the service in the POSIX object called name, or makes it, as
// OpenOrCreate does with rings. A service with other limits is ErrMismatch. In o, Producers
// and Capacity are 0. Sparse has no effect: the memory for a client's messages is taken
// when the client joins.
//
// Errors: ErrMismatch; ErrNotRing (the object holds something else, which is left
// unchanged); those of OpenServiceIn, posix.CreateObject and posix.OpenObject.
func OpenOrCreateService(ctx context.Context, name string, l ServiceLimits, o *NamedOptions) (*Service, error) {
	var all NamedOptions
	if o != nil {
		all = *o
	}
	all.Sparse = true
	return findService(l, &all, all.at(ctx, byName(name), true))
}

// findService opens or makes a service.
func findService(l ServiceLimits, o *NamedOptions, find finder) (*Service, error) {
	if o.Producers != 0 || o.Capacity != 0 {
		return nil, errors.New("shmring: the size of a service is that of its ServiceLimits")
	}
	limits := l.orDefault()
	if err := limits.check(); err != nil {
		return nil, err
	}
	var s *Service
	err := find(recipe{
		size: int(limits.size()),
		make: func(mem []byte) (io.Closer, error) { return createService(mem, limits) },
		open: func(mem Memory) (_ *base, err error) {
			if s, err = OpenServiceIn(mem); err != nil {
				return nil, err
			}
			return &s.base, s.fits(l)
		},
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// fits returns ErrMismatch if the caller wants other limits.
func (s *Service) fits(l ServiceLimits) error {
	want := l.orDefault()
	if l.MaxMessage != 0 && s.limits.MaxMessage != want.MaxMessage ||
		l.Clients != 0 && s.limits.Clients != want.Clients || l.Calls != 0 && s.limits.Calls != want.Calls {
		return fmt.Errorf("shmring: %w: its limits are %+v", ErrMismatch, s.limits)
	}
	return nil
}

// CreateServiceIn makes a service in mem, and keeps mem mapped while a handle is open. It
// overwrites mem, which no other process may be using, and which has ServiceSize bytes or
// more. Errors: those of CreateIn.
func CreateServiceIn(mem Memory, l ServiceLimits) (*Service, error) {
	return serviceIn(mem, func(b []byte) (*Service, error) { return createService(b, l.orDefault()) })
}

// OpenServiceIn returns the service that another call made in mem, and keeps mem mapped
// while a handle is open. mem must be writable. Errors: those of OpenIn.
func OpenServiceIn(mem Memory) (*Service, error) { return serviceIn(mem, openService) }

func serviceIn(mem Memory, open func([]byte) (*Service, error)) (s *Service, err error) {
	err = within(mem, func(b []byte) error { s, err = open(b); return err })
	if err != nil {
		return nil, err
	}
	s.memory = mem
	return s, nil
}

// ServiceSize returns the number of bytes of memory that a service of these limits needs.
func ServiceSize(l ServiceLimits) int { return int(l.orDefault().size()) }

func serviceFormat() format { return formats()[3] }

func createService(mem []byte, l ServiceLimits) (*Service, error) {
	if err := usable(mem); err != nil {
		return nil, err
	}
	if err := l.check(); err != nil {
		return nil, err
	}
	if l.size() > uint64(len(mem)) {
		return nil, fmt.Errorf("shmring: %w: %+v takes %d bytes, there are %d", ErrSize, l, l.size(), len(mem))
	}
	err := guarded(func() error {
		err := serviceFormat().write(mem, parts{uint64(l.MaxMessage), callsOffset, l.dataOffset()})
		if err == nil {
			err = memory.Populate(mem[:l.dataOffset()])
		}
		if err == nil {
			h := serviceHeaderOf(mem)
			h.clients.Store(uint32(l.Clients))
			h.calls.Store(uint32(l.Calls))
			h.magic.Store(serviceMagic)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return openService(mem)
}

func openService(mem []byte) (s *Service, err error) {
	if err := usable(mem); err != nil {
		return nil, err
	}
	err = guarded(func() error {
		if err := serviceFormat().identify(mem, 0); err != nil {
			return err
		}
		h := serviceHeaderOf(mem)
		size := h.capacity.Load()
		l := ServiceLimits{int(size), int(h.clients.Load()), int(h.calls.Load())}
		if size > min(maxServiceSize, math.MaxInt) || l.check() != nil || l.size() > h.size.Load() || h.states.Load() != callsOffset || h.data.Load() != l.dataOffset() {
			return fmt.Errorf("shmring: %w: header", ErrCorrupt)
		}
		s = &Service{limits: l}
		s.header, s.desks, s.calls, s.data = overlayService(mem, l)
		s.members, s.tickets = s.header.members[:], &s.header.tickets
		return s.open(mem)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close closes the descriptor of the Service. It also unmaps the memory if the Service owns
// it, as Ring.Close does. Close the handles first; otherwise the error is EBUSY.
func (s *Service) Close() error { return s.close() }

// Remove removes the name of a service of OpenOrCreateService, under the same conditions as
// Ring.Remove.
func (s *Service) Remove() error { return s.remove() }

// CloseAndRemove closes the service, and removes its name if no other process has it
// open, as Ring.CloseAndRemove does.
func (s *Service) CloseAndRemove() error { return s.closeAndRemove(s.Close) }

// Unlink removes the name at once, even though processes have the service open, as
// Ring.Unlink does.
func (s *Service) Unlink() error { return s.unlink() }

// ID returns the random id of the service, which differs from that of any other.
func (s *Service) ID() [16]byte { return s.id }

// Limits returns the sizes of the service.
func (s *Service) Limits() ServiceLimits { return s.limits }

// A Caller is a client of a Service, as other processes see it.
type Caller struct {
	Alive        bool   // false if the process ended without closing and nobody has noticed yet
	PID          int    // process id in PIDNamespace, as the process itself wrote it
	PIDNamespace uint64 // inode number of the PID namespace, as in /proc/PID/ns/pid
	Calls        int    // requests that have no reply yet, including requests that were given up
}

// Callers returns the clients. The kernel reports whether they are alive; the processes
// wrote everything else. Errors: ErrClosed; ErrFault; fs.PathError.
func (s *Service) Callers() (all []Caller, err error) {
	err = s.look(func(l line) {
		for i := range s.limits.Clients {
			ticket, dead := s.dead(l, i)
			if vacant(ticket) {
				continue
			}
			who := s.members[i].label()
			c := Caller{Alive: !dead, PID: int(who.pid), PIDNamespace: uint64(who.namespace)}
			for j := range s.limits.Calls {
				switch s.calls[s.slot(i, j)].state.Load() & callMask {
				case callRequested, callServed, callAbandoned:
					c.Calls++
				}
			}
			all = append(all, c)
		}
	})
	return all, err
}

// Served returns whether a process has the server's role and is alive.
func (s *Service) Served() (alive bool, err error) {
	err = s.look(func(l line) {
		ticket, dead := s.dead(l, serverRole)
		alive = !vacant(ticket) && !dead
	})
	return alive, err
}

// look calls f with the memory pinned and a line that holds no role.
func (s *Service) look(f func(line)) error {
	unpin, err := s.pin()
	if err != nil {
		return fmt.Errorf("shmring: %w", closedOr(err))
	}
	defer unpin()
	l, err := s.lifeline()
	if err != nil {
		return err
	}
	defer l.Close()
	return guarded(func() error { f(l); return nil })
}

// slot returns the number of call j of client i.
func (s *Service) slot(i, j int) int { return i*s.limits.Calls + j }

// message returns the memory for the request and the reply of a call.
func (s *Service) message(slot int) []byte {
	n := s.limits.MaxMessage
	return s.data[slot*n : (slot+1)*n : (slot+1)*n]
}

// unserved reports whether the last server has closed, and this process does not wait for
// the next one.
func (s *Service) unserved() bool {
	return s.members[serverRole].ticket.Load() == gone && !s.outlive
}

// wake wakes the process of the client if it sleeps.
func (d *desk) wake() {
	if anyAsleep(&d.sleeps) {
		wake(&d.sleeps)
	}
}
