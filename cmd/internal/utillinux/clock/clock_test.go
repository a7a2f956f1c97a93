package clock

import (
	"testing"
	"time"
)

func lookup(tz string) func(string) (string, bool) {
	return func(string) (string, bool) { return tz, true }
}

func TestAppend(t *testing.T) {
	const winter, summer = 1700000000, 1720000000 // Nov 14 2023 22:13:20, Jul 3 2024 09:46:40 UTC
	for _, tt := range []struct {
		format Format
		tz     string
		second int64
		want   string
	}{
		{Ctime, "", winter, "Tue Nov 14 22:13:20 2023"},
		{Ctime, "UTC0", summer, "Wed Jul  3 09:46:40 2024"},
		{Ctime, "CET-1CEST,M3.5.0,M10.5.0/3", winter, "Tue Nov 14 23:13:20 2023"},
		{Ctime, "CET-1CEST,M3.5.0,M10.5.0/3", summer, "Wed Jul  3 11:46:40 2024"},
		{Ctime, "nonsense", winter, "Tue Nov 14 22:13:20 2023"},
		{Ctime, "/no/such/file", winter, "Tue Nov 14 22:13:20 2023"},
		{Ctime, ":", winter, "Tue Nov 14 22:13:20 2023"},
		{ISO, "", winter, "2023-11-14T22:13:20+00:00"},
		{ISO, "<+0545>-5:45", winter, "2023-11-15T03:58:20+05:45"},
		{ISO, "<-0330>3:30", summer, "2024-07-03T06:16:40-03:30"},
		{Short, "", winter, "2023-Nov14"},
		{Ctime, "", -1, "Wed Dec 31 23:59:59 1969"},
	} {
		c := New(tt.format, lookup(tt.tz))
		for range 2 { // the second time it comes from the cache
			if got := string(c.Append([]byte("x"), time.Unix(tt.second, 0))); got != "x"+tt.want {
				t.Errorf("format %d of %d in %q = %q, want %q", tt.format, tt.second, tt.tz, got, "x"+tt.want)
			}
		}
	}
}

func TestShort(t *testing.T) {
	now := time.Date(2024, 7, 3, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		t    time.Time
		want string
	}{
		{now.Add(-12 * time.Hour), "00:00"},
		{now.Add(11 * time.Hour), "23:00"},
		{now.Add(-12*time.Hour - time.Second), "Jul02"},
		{now.AddDate(0, -1, 0), "Jun03"},
		{now.AddDate(-1, 0, 0), "2023-Jul03"},
		{time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), "Jan01"},
	} {
		c := New(Short, lookup(""))
		c.zone, c.now = time.UTC, now
		if got := string(c.Append(nil, tt.t)); got != tt.want {
			t.Errorf("%v is %q, want %q", tt.t, got, tt.want)
		}
	}
}

// TestNeighbours: the cached text of one second is not used for another.
func TestNeighbours(t *testing.T) {
	c := New(Ctime, lookup(""))
	for _, second := range []int64{0, 1, 1, 0, 86400} {
		want := time.Unix(second, 0).UTC().Format(time.ANSIC)
		if got := string(c.Append(nil, time.Unix(second, 0))); got != want {
			t.Errorf("%d is %q, want %q", second, got, want)
		}
	}
}

func FuzzZone(f *testing.F) {
	f.Add("CET-1CEST,M3.5.0,M10.5.0/3")
	f.Add("<+0545>-5:45")
	f.Fuzz(func(_ *testing.T, tz string) {
		if len(tz) > 0 && tz[0] != '/' {
			New(ISO, lookup(tz)).Append(nil, time.Unix(1700000000, 0))
		}
	})
}
