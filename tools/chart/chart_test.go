package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

const measured = `[
{"way":"ring","cores":"same","size":64,"round_trip_us":7.3,"p99_us":10.4,"messages_per_s":2.4e7,"mb_per_s":1534.9},
{"way":"ring","cores":"same","size":65536,"round_trip_us":12.3,"p99_us":18.5,"messages_per_s":2e5,"mb_per_s":14854},
{"way":"sysv-msg","cores":"same","size":64,"round_trip_us":7.1,"p99_us":37.6,"messages_per_s":4e5,"mb_per_s":28.4},
{"way":"sysv-msg","cores":"same","size":65536,"round_trip_us":null,"p99_us":null,"messages_per_s":null,"mb_per_s":null},
{"way":"ring","cores":"cross","size":64,"round_trip_us":0.9,"p99_us":1.7,"messages_per_s":1.8e7,"mb_per_s":1198},
{"way":"memcpy","cores":null,"size":64,"round_trip_us":0.04,"p99_us":0.07,"messages_per_s":2e8,"mb_per_s":14090}
]`

// texts returns the texts in a picture, which must be well-formed.
func texts(t *testing.T, svg []byte) (all []string) {
	t.Helper()
	inText := false
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inText = token.Name.Local == "text"
		case xml.CharData:
			if inText {
				all = append(all, string(token))
			}
		case xml.EndElement:
			inText = false
		}
	}
}

func TestChart(t *testing.T) {
	var svg bytes.Buffer
	if err := run(strings.NewReader(measured), &svg); err != nil {
		t.Fatal(err)
	}
	got := texts(t, svg.Bytes())
	for _, want := range []string{
		"Round trip, both processes on one core",
		"Round trip, each process on a core of its own",
		"One way, as fast as it goes, both processes on one core",
		"One way, as fast as it goes, each process on a core of its own",
		"ring", "sysv-msg", "memcpy", "µs", "MB/s", "64", "64K",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no text %q among %q", want, got)
		}
	}
}

// TestChartOfLittle checks that a chart with one way, one place or an empty panel is
// drawn.
func TestChartOfLittle(t *testing.T) {
	for _, in := range []string{
		`[{"way":"memcpy","cores":null,"size":1,"round_trip_us":0.04,"mb_per_s":14090}]`,
		`[{"way":"ring","cores":"same","size":100,"round_trip_us":4,"mb_per_s":1}]`,
		`[{"way":"sysv-msg","cores":"same","size":65536,"round_trip_us":null,"mb_per_s":null}]`,
	} {
		var svg bytes.Buffer
		if err := run(strings.NewReader(in), &svg); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		texts(t, svg.Bytes())
	}
}

func TestChartRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "not the output of gshm bench --json: EOF",
		"[]":                       "there are no results",
		`[{"name":"x"}]`:           "not a result of gshm bench, which has a way and a size: {Way: Cores: Size:0 RoundTrip:<nil> MB:<nil>}",
		`[{"way":"ring","size":0}`: "not the output of gshm bench --json: unexpected EOF",
	} {
		var svg bytes.Buffer
		if err := run(strings.NewReader(in), &svg); err == nil || err.Error() != want || svg.Len() > 0 {
			t.Errorf("%q: error %v and %d bytes, want %s", in, err, svg.Len(), want)
		}
	}
}
