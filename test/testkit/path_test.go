package testkit

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// pathCases: who vouches for the signer, and may they.
func (k *kit) pathCases() {
	k.leaves()
	k.authorities()
	k.times()
	k.revocations()
}

func (k *kit) path(name, comment string, l *testca.Leaf, a Answer, more ...outcome) {
	k.t.Helper()
	want := shown(a, Path, letter)
	if a == Valid {
		want = valid(letter)
	}
	k.mail("path/"+name, comment, fromAlice(pkcs7("signed-data", k.sign(letter, l))), append([]outcome{want, twin("honest/opaque")}, more...)...)
}

func (k *kit) leaves() {
	w := k.world
	leaf := func(options ...testca.Option) *testca.Leaf {
		return w.issuing.Leaf("alice@example.com", testca.P256, options...)
	}
	k.path("impostor", "an authority with the name of ours, and another key", w.impostor, Untrusted)
	k.path("expired", "the certificate had ended", leaf(testca.Expired()), Untrusted)
	k.path("not-yet-valid", "the certificate had not begun", leaf(testca.NotYetValid()), Untrusted)
	k.path("for-servers", "a certificate for web servers", leaf(testca.ExtKeyUsage(x509.ExtKeyUsageServerAuth)), Untrusted)
	k.path("for-clients", "a certificate for TLS clients", leaf(testca.ExtKeyUsage(x509.ExtKeyUsageClientAuth)), Untrusted)
	k.path("for-anything", "anyExtendedKeyUsage", leaf(testca.ExtKeyUsage(x509.ExtKeyUsageAny)), Valid, policy("RFC 8550 section 4.4.4 accepts it"))
	k.path("for-mail-and-clients", "for mail and for TLS clients", leaf(testca.ExtKeyUsage(x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageEmailProtection)), Valid)
	k.path("no-extended-usage", "without extended key usage", leaf(testca.ExtKeyUsage()), Valid)
	k.path("encryption-only", "a key for encryption alone", leaf(testca.KeyUsage(x509.KeyUsageKeyAgreement)), Untrusted)
	k.path("non-repudiation-only", "a key for contentCommitment alone", leaf(testca.KeyUsage(x509.KeyUsageContentCommitment)), Valid)
	k.path("no-key-usage", "without key usage", leaf(testca.KeyUsage(0)), Valid)
	k.path("crl-signing-only", "a key for CRLs alone", leaf(testca.KeyUsage(x509.KeyUsageCRLSign)), Untrusted)
	k.path("unknown-critical", "a critical extension that nobody knows", leaf(testca.Extension("1.3.6.1.4.1.55555.7", true, oid.Null)), Untrusted)
	k.path("unknown-not-critical", "an unknown extension that is not critical", leaf(testca.Extension("1.3.6.1.4.1.55555.7", false, oid.Null)), Valid)
	k.path("sha1", "signed by the authority with SHA-1", leaf(testca.SHA1(w.issuing)), Untrusted)
	small := w.issuing.Leaf("alice@example.com", testca.RSA1024)
	k.mail("path/rsa-1024", "an RSA key of 1024 bits", fromAlice(pkcs7("signed-data", assemble(oid.Data, octets([]byte(letter)), certificatesOf(small), k.signerInfo(small, letter, usualAttributes(oid.Data, letter)...)))), shown(Untrusted, Path, letter))
	own := testca.NewRoot(k.t, "Alice herself", testca.Emails("alice@example.com"), testca.KeyUsage(x509.KeyUsageDigitalSignature))
	k.path("self-signed", "a self-signed certificate", &testca.Leaf{Certificate: own.Certificate, Key: own.Key}, Untrusted)
	broken := *w.alice
	last := append([]byte{}, w.alice.Certificate.Raw...)
	last[len(last)-1] ^= 1
	var err error
	broken.Certificate, err = cert.Parse(last)
	k.check(err)
	k.path("certificate-changed", "the authority's signature on the certificate is wrong", &broken, Untrusted)
	k.path("anchor-other", "the reader trusts somebody else", w.alice, Untrusted, anchors("impostor"))
}

func (k *kit) authorities() {
	w := k.world
	below := func(a *testca.Authority) *testca.Leaf { return a.Leaf("alice@example.com", testca.P256) }
	authority := func(name string, options ...testca.Option) *testca.Authority {
		return w.root.Authority(name, options...)
	}
	k.path("leaf-as-authority", "eve's certificate issues one for alice", below(testca.As(k.t, w.eve)), Untrusted)
	k.path("not-an-authority", "basicConstraints says that it is none", below(authority("Not An Authority", testca.NotCA())), Untrusted)
	k.path("no-basic-constraints", "without basicConstraints (GHSA-2328-f5f3-gj25)", below(authority("No Constraints", func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false })), Untrusted)
	k.path("no-cert-sign", "an authority whose key may not sign certificates", below(authority("No Signing", testca.KeyUsage(x509.KeyUsageCRLSign))), Untrusted)
	k.path("path-length", "more authorities than one of them allows", below(authority("Zero Length", testca.PathLen(0)).Authority("Below Zero")), Untrusted)
	k.path("path-length-fits", "as many authorities as allowed", below(authority("One Length", testca.PathLen(1)).Authority("Below One")), Valid)
	k.path("authority-for-servers", "an authority for web servers", below(authority("Web", testca.ExtKeyUsage(x509.ExtKeyUsageServerAuth))), Untrusted)
	k.path("authority-for-mail", "an authority for mail", below(authority("Mail", testca.ExtKeyUsage(x509.ExtKeyUsageEmailProtection))), Valid)
	k.path("authority-expired", "the authority had ended", below(authority("Old", testca.Expired())), Untrusted)
	k.path("permitted-other-domain", "an authority for another domain", below(authority("Elsewhere", testca.PermitEmails("example.net"))), Untrusted)
	k.path("permitted-other-mailbox", "an authority for another mailbox", below(authority("Eve's", testca.PermitEmails("eve@example.com"))), Untrusted)
	k.path("permitted-subdomains-only", "an authority for the subdomains, not the domain", below(authority("Sub", testca.PermitEmails(".example.com"))), Untrusted)
	k.path("permitted", "an authority for this domain", below(authority("Here", testca.PermitEmails("example.com"))), Valid)
	k.path("permitted-among-several", "an authority for several domains (CVE-2026-27137)", below(authority("Several", testca.PermitEmails("example.com", "example.net"))), Valid)
	k.path("excluded", "an authority that excludes this domain", below(authority("Not Here", testca.ExcludeEmails("example.com"))), Untrusted)
	k.path("excluded-first-of-several", "an authority that excludes several domains, this one first (CVE-2026-27137)", below(authority("Not Here First", testca.ExcludeEmails("example.com", "example.net"))), Untrusted)
	k.path("excluded-last-of-several", "an authority that excludes several domains, this one last", below(authority("Not Here Last", testca.ExcludeEmails("example.net", "example.com"))), Untrusted)
	k.path("excluded-mailbox", "an authority that excludes alice", below(authority("Not Alice", testca.ExcludeEmails("alice@example.com"))), Untrusted)
	k.path("excluded-case", "an authority that excludes the domain in capitals", below(authority("Not HERE", testca.ExcludeEmails("EXAMPLE.COM"))), Untrusted)
	k.path("unknown-critical-above", "an authority with a critical extension that nobody knows", below(authority("Unknown", testca.Extension("1.3.6.1.4.1.55555.7", true, oid.Null))), Untrusted)
	long := w.root
	for i := range 40 {
		long = long.Authority(fmt.Sprintf("Level %d", i))
	}
	k.path("forty-authorities", "forty authorities above each other", below(long), Untrusted, policy("who follows forty says valid"))
	second := testca.NewRoot(k.t, "Second Root")
	crossed := below(second)
	crossed.Chain = []*cert.Certificate{second.Certificate, w.root.CrossSign(second)}
	k.path("cross-signed", "an authority that another, trusted one has signed too", crossed, Valid)
}

func (k *kit) times() {
	w := k.world
	for name, c := range each(k, map[string]struct {
		at   time.Time
		want Answer
	}{
		"first-second": {w.alice.Certificate.NotBefore, Valid}, "last-second": {w.alice.Certificate.NotAfter, Valid},
		"second-before": {w.alice.Certificate.NotBefore.Add(-time.Second), Untrusted}, "second-after": {w.alice.Certificate.NotAfter.Add(time.Second), Untrusted},
		"ten-years-later": {testca.Now.AddDate(10, 0, 0), Untrusted},
	}) {
		k.path("time-"+name, "judged at another time: "+name, w.alice, c.want, at(c.at))
	}
	claimed := k.signWith(letter, &cms.SignOptions{Time: testca.Now.AddDate(0, -3, 0)}, w.issuing.Leaf("alice@example.com", testca.P256, testca.Expired()))
	k.mail("path/time-claimed", "the signer says that it signed while the certificate lived, and proves it by nothing", fromAlice(pkcs7("signed-data", claimed)), shown(Untrusted, Path, letter))
}

func (k *kit) revocations() {
	w := k.world
	k.path("revoked", "alice's certificate was revoked", w.alice, Invalid, crls("alice-revoked", "root-nobody-revoked"), invalid(Path))
	k.path("not-revoked", "alice's certificate was not revoked", w.alice, Valid, crls("nobody-revoked", "root-nobody-revoked"))
	k.path("eve-not-revoked", "the list revokes another certificate", w.aliceRSA, Valid, crls("alice-revoked", "root-nobody-revoked"))
	k.path("no-list-of-the-issuer", "a list is given, and not the one that tells", w.alice, Unknown, crls("root-nobody-revoked"))
	k.path("list-too-old", "the only list had ended", w.alice, Unknown, crls("nobody-revoked", "root-nobody-revoked"), at(testca.Now.AddDate(0, 3, 0)))
	inside := k.signWith(letter, &cms.SignOptions{Time: testca.Now, CRLs: [][]byte{w.issuing.CRL([]testca.Revoked{{SerialNumber: w.alice.Certificate.Serial, RevocationTime: testca.Now.AddDate(0, 0, -3)}})}}, w.alice)
	k.mail("path/revoked-inside", "a list in the mail revokes the signer", fromAlice(pkcs7("signed-data", inside)), invalid(Path))
	forged := k.signWith(letter, &cms.SignOptions{Time: testca.Now, CRLs: [][]byte{w.issuing.CRL(nil)}}, w.alice)
	k.mail("path/good-list-inside", "a list in the mail, chosen by the signer, takes no revocation away", fromAlice(pkcs7("signed-data", forged)), invalid(Path), crls("alice-revoked", "root-nobody-revoked"))
	stranger := testca.Renamed(testca.NewRoot(k.t, "Stranger"), pkix.Name{CommonName: "Test Issuing", Organization: []string{"Example"}})
	false1 := k.signWith(letter, &cms.SignOptions{Time: testca.Now, CRLs: [][]byte{stranger.CRL([]testca.Revoked{{SerialNumber: w.alice.Certificate.Serial, RevocationTime: testca.Now.AddDate(0, 0, -3)}})}}, w.alice)
	k.mail("path/forged-list-inside", "a list in the mail that the authority did not sign revokes nobody", fromAlice(pkcs7("signed-data", false1)), valid(letter))
}
