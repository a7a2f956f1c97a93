//go:build linux

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/metrics"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A reading is what one scan found. It never changes.
type reading struct {
	taken    time.Time
	groups   []*groups.Group[[]groups.Count] // most objects first
	limits   []limits.Limit
	families []metrics.Family
	notes    []string // what could not be seen
}

// A scanner scans for all clients. A reading serves everybody until it is too old, and a
// client that comes during a scan waits for that scan.
type scanner struct {
	layout *groups.Layout
	maxAge time.Duration
	log    *slog.Logger

	mu      sync.Mutex
	last    *reading // nil before the first scan
	running *scan    // nil if no scan is running
	failure string   // of the last scan, "" if it succeeded

	// Only the running scan uses these; names are looked up again from time to time.
	names   *account.Directory
	namesAt time.Time
}

// A scan is a scan in progress.
type scan struct {
	began time.Time
	done  chan struct{} // closed after the other fields are set
	*reading
	err error
}

func newScanner(layout *groups.Layout, maxAge time.Duration, log *slog.Logger) *scanner {
	return &scanner{layout: layout, maxAge: maxAge, log: log}
}

var errSlow = errors.New("the scan takes too long")

// read returns a reading that is not too old. It waits for a scan, but not forever: reading
// /proc can block, for instance at a process whose memory is being written out.
func (s *scanner) read(patience time.Duration) (*reading, error) {
	s.mu.Lock()
	if s.last != nil && time.Since(s.last.taken) < s.maxAge {
		defer s.mu.Unlock()
		return s.last, nil
	}
	current := s.running
	if current == nil {
		current = &scan{began: time.Now(), done: make(chan struct{})}
		s.running = current
		go s.scan(current)
	}
	s.mu.Unlock()
	select {
	case <-current.done:
		return current.reading, current.err
	case <-time.After(patience):
		return nil, errSlow
	}
}

// stuck returns an error if the last scan failed, or if one has been running for too long.
func (s *scanner) stuck(patience time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.running != nil && time.Since(s.running.began) > patience:
		return errSlow
	case s.failure != "":
		return errors.New(s.failure)
	default:
		return nil
	}
}

func (s *scanner) scan(current *scan) {
	current.reading, current.err = s.collect()
	s.mu.Lock()
	defer s.mu.Unlock()
	failure := ""
	if current.err != nil {
		failure = explain.Error(current.err)
	} else {
		s.last = current.reading
	}
	if failure != s.failure {
		if failure != "" {
			s.log.Error("a scan failed", "error", failure)
		} else {
			s.log.Info("scans succeed again")
		}
	}
	s.failure, s.running = failure, nil
	close(current.done)
}

// collect scans once.
func (s *scanner) collect() (*reading, error) {
	const lifetime = time.Minute
	if s.names == nil || time.Since(s.namesAt) > lifetime {
		s.names, s.namesAt = account.New(), time.Now()
	}
	began := time.Now()
	inv, err := inventory.Collect(inventory.Options{Want: s.layout.Want()})
	if err != nil {
		return nil, err
	}
	fields.ExpectNames(inv, s.names)
	all, unread := limits.Read(ref.Kinds())
	r := &reading{taken: began, limits: all}
	r.groups = groups.Sum(s.layout.By, s.layout.Measures, fields.Rows(inv, s.names))
	scans := []metrics.Scan{{Groups: r.groups, Inventory: inv, Want: s.layout.Want(), Took: time.Since(began)}}
	r.families = slices.Concat(metrics.Objects(s.layout.By, s.layout.Measures, scans), metrics.Limits(all))
	slices.SortFunc(r.groups, s.layout.Compare)
	r.notes = notes(inv, unread)
	return r, nil
}

// notes returns what a reader of the figures should know.
func notes(inv *inventory.Inventory, unread error) (notes []string) {
	if n := len(inv.Deadlocks); n > 0 {
		notes = append(notes, fmt.Sprintf("%d rings of processes wait for each other; gipcs show names them.", n))
	}
	if inv.Hidden.Any() {
		notes = append(notes, inv.Hidden.String()+".")
	}
	for _, u := range inv.Unlisted {
		notes = append(notes, explain.Error(u.Err)+".")
	}
	if unread != nil {
		notes = append(notes, explain.Error(unread)+".")
	}
	return notes
}
