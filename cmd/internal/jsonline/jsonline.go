// Package jsonline reads lines of JSON objects. A listing has many, of which most values are
// short: it looks into no value before it is needed, and copies none.
package jsonline

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"unicode/utf8"
)

// Members returns the names and values of a JSON object, in their order.
func Members(line []byte) (iter.Seq2[[]byte, json.RawMessage], error) {
	object := bytes.TrimSpace(line)
	if len(object) == 0 || object[0] != '{' || !json.Valid(object) {
		return nil, errors.New("it is no JSON object")
	}
	return func(yield func([]byte, json.RawMessage) bool) {
		const blanks = " \t\r\n"
		rest := bytes.TrimLeft(object[1:], blanks)
		for rest[0] != '}' {
			n := valueEnd(rest)
			name := rest[1 : n-1]
			if bytes.IndexByte(name, '\\') >= 0 {
				var s string
				_ = json.Unmarshal(rest[:n], &s) // it is a valid string
				name = []byte(s)
			}
			rest = bytes.TrimLeft(rest[n:], blanks+":")
			n = valueEnd(rest)
			if !yield(name, json.RawMessage(rest[:n])) {
				return
			}
			rest = bytes.TrimLeft(rest[n:], blanks+",")
		}
	}, nil
}

// valueEnd returns the length of the value with which valid JSON begins.
func valueEnd(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n', ':':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// Text returns the text of a JSON string.
func Text(text json.RawMessage) (s string, err error) {
	if n := len(text); n >= 2 && text[0] == '"' && bytes.IndexByte(text, '\\') < 0 && utf8.Valid(text) {
		return string(text[1 : n-1]), nil
	}
	err = json.Unmarshal(text, &s)
	return s, err
}
