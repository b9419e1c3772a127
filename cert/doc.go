// Package cert reads X.509 certificates, certification requests, revocation
// lists and OCSP bodies (RFC 5280, RFC 2986, RFC 6960, RFC 8410, RFC 9598,
// RFC 9881), and writes requests.
//
// # Why not crypto/x509
//
// Mail brings certificates that crypto/x509 refuses or reads in part: RSA keys
// bound to PSS, curves and algorithms it does not know, internationalized
// addresses (SmtpUTF8Mailbox), old strings, times and serial numbers. [Parse]
// takes all that can be understood, keeps every signed byte as it came, and
// lists in [Certificate.Defects] what breaks RFC 5280 so badly that no path may
// be built on it. To read is not to trust: package certpath decides that.
//
// # Where to start
//
// [Parse] for one DER certificate, [ParseAll] for files as people have them
// (PEM, DER, PKCS#7), [ParseRequest] and [CreateRequest] for PKCS#10,
// [ParseCRL] for revocation lists, [ParseOCSPResponse], and [OCSPRequest] with
// [NewCertID] to ask for one.
//
// # What it does not do
//
// It judges nothing but single signatures, fetches nothing, reads no clock, and
// issues no certificates.
package cert
