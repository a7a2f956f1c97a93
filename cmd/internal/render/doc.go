// Package render writes listings and single objects in every format that the commands
// offer. It knows nothing about the objects: a caller describes the columns once and
// supplies rows of typed cells.
//
// Machine formats (json, ndjson, csv) carry values: numbers are numbers, times are RFC
// 3339 with their offset, unknown values are null or empty, and nothing is shortened.
// Formats for people (table, plain, markdown, html) carry text. Foreign text first
// passes through [term.Escape] and then through the format's own escaping, so it can
// control neither a terminal nor a browser. Unknown values are "-".
//
// In particular:
//
//   - json and ndjson write bytes that are not UTF-8 as U+FFFD, like encoding/json,
//     because JSON cannot represent them. Unprintable runes are written as \u escapes,
//     which changes no value. Integers keep all their digits, even above 2^53. A NaN or
//     an infinity is null.
//   - csv follows RFC 4180, including its line ends. A text that a spreadsheet would
//     take for a formula (it begins with = + - @, a tab or a line end) is preceded by
//     an apostrophe. A list is its items joined by commas, a nested object its JSON
//     text. Texts are escaped if Options.Terminal says that a terminal would act on
//     them.
//   - plain is for eyes and for awk: aligned columns, one row per line, no trailing
//     blanks, and "-" for an empty text, so that no column is ever empty. It is never
//     shortened.
//   - table is the only format that shortens: if the table exceeds Options.MaxWidth,
//     long texts end in "…". Numbers, keys and times stay whole.
//   - plain and table omit columns with a rank if they exceed Options.MaxWidth.
//   - markdown is a table in GitHub's dialect, html a table element to put into a page.
//
// Output is written in pieces of about 64 KiB. The first error of the writer ends the
// work and is returned unchanged.
package render
