// Package lint holds a certificate against the CA/Browser Forum's S/MIME
// Baseline Requirements (S/MIME BR) and RFC 5280, and says of each rule that
// it breaks which one that is.
//
// [Check] has our own rules, a table of them: zlint does not know all of the
// requirements, so ours come first. [ZLint] runs zlint's. What the rules ask
// depends on the [Kind] of a certificate, which its policy identifier tells;
// for a certificate of a private authority, whose identifiers mean nothing to
// zlint, [Twin] makes the same certificate with the public one in it, signed
// by nobody.
//
// The package looks at certificates that others made, too: it judges nothing
// but the bytes. Whether names are true, keys are held by their owners and
// addresses answer is proven elsewhere.
package lint
