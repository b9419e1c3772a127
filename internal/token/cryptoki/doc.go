// Package cryptoki is the end of package token's talk that loads PKCS #11 modules,
// C libraries, and so needs cgo: only cmd/mailseal-pkcs11 links it. It implements
// token.Opener on github.com/miekg/pkcs11, which passes calls through and decides
// nothing.
//
// Without cgo the package is empty but for [Open], which says so.
package cryptoki
