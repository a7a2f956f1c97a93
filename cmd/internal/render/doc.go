// Package render writes listings and single objects in every format the
// commands offer. It knows nothing of what it shows: a caller describes the
// columns once and hands over rows of typed cells.
//
// The formats are of two sorts. The machine formats (json, ndjson, csv) carry
// values: numbers are numbers, times are RFC 3339 with their offset, what is
// not known is null or empty, and nothing is shortened. The formats for people
// (table, plain, markdown, html) carry text: what comes from outside passes
// through [term.Escape] first and then through the format's own rules, so that
// it can drive neither a terminal nor a browser; what is not known is "-".
//
// In particular:
//
//   - json and ndjson write bytes that are not UTF-8 as U+FFFD, like
//     encoding/json, for JSON has no way to hold them. Runes that do not print
//     are written as \u escapes, which changes no value. Integers have all
//     their digits, also above 2^53. A NaN or an infinity is null.
//   - csv follows RFC 4180, its line ends included. A text that a spreadsheet
//     would take for a formula (it begins with = + - @, a tab or a line end)
//     is preceded by an apostrophe. A list is its items joined by commas, a
//     nested object its JSON text. Texts are escaped where
//     Options.Terminal says that a terminal would act on them.
//   - plain is for eyes and for awk: columns aligned by blanks, one row a line,
//     no blanks at a line's end, and "-" also for an empty text, so that there
//     is something in every column. It is never shortened.
//   - table is the one format that shortens: where Options.MaxWidth is set and
//     exceeded, long texts end in "…". Numbers, keys and times stay whole.
//   - markdown is a table of GitHub's flavour, html a table element to put into
//     a page.
//
// Output is written in pieces of about 64 KiB. The first error of the writer
// ends the work and is returned as it is.
package render
