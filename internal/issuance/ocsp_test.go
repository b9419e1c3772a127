package issuance_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/revocation"
)

func responder(t *testing.T, ca *testca.CA) *issuance.Responder {
	t.Helper()
	leaf := ca.Issuing.Responder()
	r, err := issuance.NewResponder(ca.Issuing.Certificate, leaf.Certificate, leaf.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func certID(t *testing.T, c, issuer *cert.Certificate, h crypto.Hash) cert.CertID {
	t.Helper()
	id, err := cert.NewCertID(c, issuer, h)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// What is signed means the same to golang.org/x/crypto/ocsp, to our reader and
// to our own revocation check.
func TestOCSPResponse(t *testing.T) {
	ca := testca.New(t)
	alice := ca.Leaf("alice@example.org", testca.P256).Certificate
	issuer, err := x509.ParseCertificate(ca.Issuing.Certificate.Raw)
	if err != nil {
		t.Fatal(err)
	}
	r := responder(t, ca)
	this, next := testca.Now.Add(-time.Hour), testca.Now.Add(95*time.Hour)
	nonce := bytes.Repeat([]byte{7}, 32)
	for name, test := range map[string]struct {
		hash    crypto.Hash
		status  cert.OCSPCertStatus
		reason  cert.Reason
		nonce   []byte
		theirs  int
		verdict revocation.Status
	}{
		"good":        {crypto.SHA1, cert.OCSPGood, 0, nil, ocsp.Good, revocation.Good},
		"good nonce":  {crypto.SHA256, cert.OCSPGood, 0, nonce, ocsp.Good, revocation.Good},
		"compromised": {crypto.SHA256, cert.OCSPRevoked, cert.KeyCompromise, nil, ocsp.Revoked, revocation.Revoked},
		"no reason":   {crypto.SHA1, cert.OCSPRevoked, cert.Unspecified, nonce, ocsp.Revoked, revocation.Revoked},
		"unknown":     {crypto.SHA1, cert.OCSPUnknown, 0, nil, ocsp.Unknown, revocation.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			der, err := r.Respond(issuance.Answers{
				Standings: []issuance.Standing{{
					CertID: certID(t, alice, ca.Issuing.Certificate, test.hash), Status: test.status,
					RevokedAt: testca.Now.AddDate(0, 0, -1), Reason: test.reason,
				}},
				Produced: this, ThisUpdate: this, NextUpdate: next, Nonce: test.nonce,
			})
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := ocsp.ParseResponse(der, issuer)
			if err != nil {
				t.Fatal(err)
			}
			if theirs.Status != test.theirs || theirs.SerialNumber.Cmp(alice.Serial) != 0 ||
				!theirs.ThisUpdate.Equal(this) || !theirs.NextUpdate.Equal(next) || theirs.RevocationReason != int(test.reason) {
				t.Errorf("x/crypto reads %+v", theirs)
			}
			ours, err := cert.ParseOCSPResponse(der)
			if err != nil {
				t.Fatal(err)
			}
			if len(ours.Basic.Defects) != 0 || !bytes.Equal(ours.Basic.Nonce, test.nonce) || len(ours.Basic.Answers[0].Extensions) != 0 {
				t.Errorf("our reader: %+v", ours.Basic)
			}
			status, err := revocation.Check([]*cert.Certificate{alice, ca.Issuing.Certificate, ca.Root.Certificate}, &revocation.Options{
				At: testca.Now, Evidence: revocation.Evidence{Responses: []*cert.OCSPResponse{ours}},
			})
			if status != test.verdict {
				t.Errorf("verdict %v (%v), want %v", status, err, test.verdict)
			}
		})
	}
}

func TestOCSPRefusals(t *testing.T) {
	ca := testca.New(t)
	other := testca.New(t)
	leaf, mail := ca.Issuing.Responder(), ca.Leaf("alice@example.org", testca.P256)
	noCheck := ca.Issuing.Leaf("", testca.P256, testca.ExtKeyUsage(x509.ExtKeyUsageOCSPSigning))
	both := ca.Issuing.Responder(testca.ExtKeyUsage(x509.ExtKeyUsageOCSPSigning, x509.ExtKeyUsageEmailProtection))
	for name, refused := range map[string]struct {
		authority *cert.Certificate
		leaf      *testca.Leaf
	}{
		"mail certificate":       {ca.Issuing.Certificate, mail},
		"without nocheck":        {ca.Issuing.Certificate, noCheck},
		"for something else too": {ca.Issuing.Certificate, both},
		"of another authority":   {ca.Root.Certificate, leaf},
		"of a namesake":          {other.Issuing.Certificate, other.Issuing.Responder(testca.Extension(oid.ExtSubjectKeyID, true, oid.Null))},
	} {
		if _, err := issuance.NewResponder(refused.authority, refused.leaf.Certificate, refused.leaf.Signer()); err == nil {
			t.Errorf("%s: made a responder", name)
		}
	}
	if _, err := issuance.NewResponder(ca.Issuing.Certificate, leaf.Certificate, mail.Signer()); err == nil {
		t.Error("another key: made a responder")
	}
	id := certID(t, mail.Certificate, ca.Issuing.Certificate, crypto.SHA1)
	good := issuance.Answers{
		Standings: []issuance.Standing{{CertID: id}}, Produced: testca.Now, ThisUpdate: testca.Now, NextUpdate: testca.Now.Add(time.Hour),
	}
	r := responder(t, ca)
	for name, change := range map[string]func(*issuance.Answers){
		"no answer":        func(a *issuance.Answers) { a.Standings = nil },
		"too many answers": func(a *issuance.Answers) { a.Standings = make([]issuance.Standing, cert.MaxOCSPRequests+1) },
		"backwards":        func(a *issuance.Answers) { a.NextUpdate = a.ThisUpdate },
		"long nonce":       func(a *issuance.Answers) { a.Nonce = make([]byte, cert.MaxNonce+1) },
		"hold": func(a *issuance.Answers) {
			a.Standings = []issuance.Standing{{CertID: id, Status: cert.OCSPRevoked, Reason: cert.CertificateHold}}
		},
		"status of nothing": func(a *issuance.Answers) { a.Standings = []issuance.Standing{{CertID: id, Status: 7}} },
	} {
		a := good
		change(&a)
		if _, err := r.Respond(a); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	for _, status := range []cert.OCSPStatus{cert.OCSPMalformedRequest, cert.OCSPUnauthorized} {
		read, err := cert.ParseOCSPResponse(issuance.OCSPError(status))
		if err != nil || read.Status != status || read.Basic != nil {
			t.Errorf("%v: %+v, %v", status, read, err)
		}
	}
}
