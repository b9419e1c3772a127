// Package portal is the web site on which a person proves a mail address, has
// a key made in the own browser and takes home a PKCS #12 file, and on which
// an administrator looks at the authority.
//
// Start with [New], which gives an http.Handler. Pages are html/template on the
// server; everything up to the making of the key works without JavaScript. The
// one script that makes keys is built from the web folder by scripts/bundle;
// the private key never comes here.
//
// Who may do what is decided in registration and auth; this package carries
// their answers between forms and pages. A mail scanner that follows links and
// presses buttons gets nowhere: GET changes nothing but the language, and every
// step asks for the cookie of the session that began the order.
//
// It is no API: programs use internal/api.
package portal
