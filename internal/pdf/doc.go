// Package pdf writes reports as PDF (ISO 32000-1): a title and a table over as
// many pages as it takes, as a stream. A page leaves when it is full, so memory
// does not grow with the report.
//
// Text is set in a TrueType font of which the glyphs that were used are embedded
// ([ParseFont]), so that names in any script of that font are drawn and can be
// read back. Without one it is set in Helvetica, which every reader has and which
// knows the letters of Windows-1252: other letters are refused ([ErrFont]).
//
// A library was looked at first. It kept all pages in memory (236 MiB for 100,000
// rows), drew nothing for characters beyond U+FFFF, such as the 𠮟 of
// JIS X 0213, and took a damaged font for a reason to panic.
package pdf
