// Package clock formats times like the C library in the C locale, in the time zone of
// the environment.
package clock

import (
	"encoding/binary"
	"os"
	"strings"
	"time"
)

// A Format is a way to format a time.
type Format int

const (
	// Ctime is the format of ctime(3): Sat Nov 1 08:05:28 2025.
	Ctime Format = iota
	// Short is 08:05 today, Nov01 this year, 2024-Nov01 otherwise.
	Short
	// ISO is 2025-11-01T08:05:28+01:00.
	ISO
)

// A Clock formats times in one format. It looks the zone up when the first time is
// formatted. It is not safe for concurrent use.
type Clock struct {
	format Format
	lookup func(string) (string, bool)
	zone   *time.Location // nil until first used
	now    time.Time      // for Short: when the zone was looked up

	// Neighbouring objects often have the same second.
	lastSecond int64
	lastText   []byte
}

// New returns a Clock that calls lookup for TZ.
func New(format Format, lookup func(name string) (value string, ok bool)) *Clock {
	return &Clock{format: format, lookup: lookup}
}

// Append appends t to dst.
func (c *Clock) Append(dst []byte, t time.Time) []byte {
	if second := t.Unix(); second != c.lastSecond || c.lastText == nil {
		if c.zone == nil {
			c.zone = zone(c.lookup)
			c.now = time.Now().In(c.zone)
		}
		c.lastSecond = second
		c.lastText = t.In(c.zone).AppendFormat(c.lastText[:0], c.layout(t))
	}
	return append(dst, c.lastText...)
}

func (c *Clock) layout(t time.Time) string {
	switch c.format {
	case ISO:
		return "2006-01-02T15:04:05-07:00"
	case Short:
		year, month, day := t.In(c.zone).Date()
		thisYear, thisMonth, today := c.now.Date()
		switch {
		case year != thisYear:
			return "2006-Jan02"
		case month != thisMonth || day != today:
			return "Jan02"
		}
		return "15:04"
	}
	return time.ANSIC
}

// zone returns the zone that tzset(3) derives from TZ: the system's if TZ is unset, UTC
// if it is empty, otherwise a file or a POSIX rule such as CET-1CEST,M3.5.0,M10.5.0/3.
func zone(lookup func(string) (string, bool)) *time.Location {
	tz, ok := lookup("TZ")
	if !ok {
		tz = "/etc/localtime"
	}
	tz = strings.TrimPrefix(tz, ":")
	if tz == "" {
		return time.UTC
	}
	if strings.HasPrefix(tz, "/") {
		if data, err := os.ReadFile(tz); err == nil {
			if l, err := time.LoadLocationFromTZData(tz, data); err == nil {
				return l
			}
		}
		return time.UTC
	}
	if l, err := time.LoadLocation(tz); err == nil && tz != "Local" {
		return l
	}
	if l, err := time.LoadLocationFromTZData(tz, rule(tz)); err == nil {
		return l
	}
	return time.UTC
}

// rule returns the smallest tzfile(5) with a POSIX rule: no transitions, one type of
// local time, the rule in the footer.
func rule(tz string) []byte {
	block := func() []byte {
		b := append([]byte("TZif2"), make([]byte, 15)...)
		// Counts of UT indicators, standard indicators, leap seconds, transitions,
		// types, and characters of abbreviations.
		for _, count := range []uint32{0, 0, 0, 0, 1, 1} {
			b = binary.BigEndian.AppendUint32(b, count)
		}
		return append(b, make([]byte, 6+1)...) // UTC, no daylight saving, the name ""
	}
	file := append(block(), block()...)
	return append(append(append(file, '\n'), tz...), '\n')
}
