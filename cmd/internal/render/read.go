package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// ReadJSON reads an object as [NDJSON] writes it: its fields in their order, and nested
// objects. It cannot know which texts are keys, modes or times, which numbers are sizes
// or durations, nor the columns of a nested listing without rows.
func ReadJSON(line []byte) ([]Column, []Cell, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	first, err := d.Token()
	if err != nil || first != json.Delim('{') {
		return nil, nil, errors.New("it is no JSON object")
	}
	columns, cells, err := readFields(d, 0)
	if err == nil && d.InputOffset() < int64(len(bytes.TrimRight(line, " \t\r\n"))) {
		err = errors.New("there is more after its JSON object")
	}
	return columns, cells, err
}

// maxNesting is how deep objects and lists may be nested. gipc's own are three deep.
const maxNesting = 8

// readFields reads the fields of an object, whose first token has been read.
func readFields(d *json.Decoder, depth int) (columns []Column, cells []Cell, err error) {
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		cell, err := readValue(d, depth)
		if err != nil {
			return nil, nil, err
		}
		column := Column{Name: name.(string)} // the decoder accepts nothing else
		if depth > 0 {
			column.Heading = strings.ToUpper(column.Name)
		}
		columns, cells = append(columns, column), append(cells, cell)
	}
	_, err = d.Token()
	return columns, cells, err
}

func readValue(d *json.Decoder, depth int) (Cell, error) {
	if depth > maxNesting {
		return Cell{}, fmt.Errorf("its JSON is nested more than %d deep", maxNesting)
	}
	token, err := d.Token()
	if err != nil {
		return Cell{}, err
	}
	switch token := token.(type) {
	case string:
		return Text(token), nil
	case bool:
		return Bool(token), nil
	case json.Number:
		return readNumber(token)
	case json.Delim:
		if token == '[' {
			return readList(d, depth+1)
		}
		columns, cells, err := readFields(d, depth+1)
		return Object(columns, cells), err
	default:
		return Unknown(), nil
	}
}

// readList reads the rest of an array: a listing if it holds objects with the same
// fields, else a list.
func readList(d *json.Decoder, depth int) (Cell, error) {
	var items []Cell
	for d.More() {
		item, err := readValue(d, depth)
		if err != nil {
			return Cell{}, err
		}
		items = append(items, item)
	}
	if _, err := d.Token(); err != nil {
		return Cell{}, err
	}
	return asListing(items), nil
}

func asListing(items []Cell) Cell {
	var columns []Column
	rows := make([][]Cell, len(items))
	for i := range items {
		if items[i].kind() != object {
			return List(items...)
		}
		n := items[i].nested()
		rows[i] = n.rows[0]
		if i == 0 {
			columns = n.columns
		}
		if !sameNames(columns, n.columns) {
			return List(items...)
		}
	}
	if len(items) == 0 {
		return List()
	}
	return Objects(columns, rows)
}

func sameNames(a, b []Column) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name {
			return false
		}
	}
	return true
}

func readNumber(n json.Number) (Cell, error) {
	text := n.String()
	if strings.ContainsAny(text, ".eE") {
		f, err := n.Float64()
		_, fraction, _ := strings.Cut(text, ".")
		return Float(f, min(len(fraction), 17)), err
	}
	if i, err := n.Int64(); err == nil {
		return Int(i), nil
	}
	var u uint64
	err := json.Unmarshal([]byte(text), &u)
	if u >= math.MaxUint64-1<<24 { // no real limit is so high
		return Unlimited(u), err
	}
	return Uint(u), err
}
