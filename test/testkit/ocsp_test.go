package testkit

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// ocspCases have OCSP responses among the revocation information of a signature (RFC 5940). Whoever made the message chose them. Where
// the reader has a list of the root alone, the response is all that could tell of alice, so that one that tells nothing leaves it open.
func (k *kit) ocspCases() {
	k.ocspAnswers()
	k.ocspSigners()
	k.ocspTimes()
	k.ocspOthers()
}

// response is a signature of alice with OCSP responses beside it.
func (k *kit) response(name, comment string, responses [][]byte, outcomes ...outcome) {
	k.t.Helper()
	der := k.signWith(letter, &cms.SignOptions{Time: testca.Now, OCSPResponses: responses}, k.world.alice)
	if name != "good" {
		outcomes = append(outcomes, twin("ocsp/good"))
	}
	k.signed("ocsp/"+name, comment, der, outcomes...)
}

// lists are what the reader has beside the message: nothing that tells of alice.
var lists = crls("root-nobody-revoked")

// open is the answer where nothing can be told.
func open() outcome { return shown(Unknown, Path, letter) }

// aboutAlice says that alice is good, unless change says something else.
func (k *kit) aboutAlice(change func(*testca.Response, *testca.Answer)) testca.Response {
	a := testca.Answer{About: k.world.alice.Certificate, Issuer: k.world.issuing.Certificate}
	r := testca.Response{}
	if change != nil {
		change(&r, &a)
	}
	r.Answers = append(r.Answers, a)
	return r
}

func revokedAnswer(_ *testca.Response, a *testca.Answer) {
	a.Status, a.Reason = cert.OCSPRevoked, cert.KeyCompromise
}

// both is the response as opaque mail and as raw CMS, released by the former alone.
func (k *kit) both(name, comment string, response []byte, given, mailOutcome outcome) {
	k.t.Helper()
	der := k.signWith(letter, &cms.SignOptions{Time: testca.Now, OCSPResponses: [][]byte{response}}, k.world.alice)
	k.mail("ocsp/"+name, comment, fromAlice(pkcs7("signed-data", der)), given, mailOutcome, twin("ocsp/good"))
	k.add(Raw, "ocsp/"+name+".cms", comment, der, given, answer(Unknown, Path), twin("ocsp/good"))
}

func (k *kit) ocspAnswers() {
	w := k.world
	good, revoked := w.issuing.OCSP(k.aboutAlice(nil)), w.issuing.OCSP(k.aboutAlice(revokedAnswer))
	k.response("good", "the issuer answers that alice's certificate is good", [][]byte{good}, valid(letter), lists)
	k.response("good-delegated", "a responder of the issuer answers that it is good", [][]byte{k.delegated(w.issuing, nil)}, valid(letter), lists)
	k.response("revoked", "the issuer answers that it was revoked", [][]byte{revoked}, invalid(Path))
	k.response("revoked-delegated", "a responder of the issuer answers that it was revoked", [][]byte{k.delegated(w.issuing, revokedAnswer)}, invalid(Path))
	k.response("revoked-long-ago", "an answer that is out of date for long, and says that it was revoked", [][]byte{w.issuing.OCSP(k.aboutAlice(func(r *testca.Response, a *testca.Answer) {
		revokedAnswer(r, a)
		a.RevokedAt = testca.Now.AddDate(0, -3, 0)
		r.Produced, a.This, a.Next = testca.Now.AddDate(0, -2, 0), testca.Now.AddDate(0, -2, 0), testca.Now.AddDate(0, -2, 1)
	}))}, invalid(Path))
	k.response("good-and-revoked", "two answers, of which the older says good", [][]byte{w.issuing.OCSP(k.aboutAlice(func(r *testca.Response, a *testca.Answer) {
		r.Produced, a.This = testca.Now.Add(-20*time.Hour), testca.Now.Add(-20*time.Hour)
	})), revoked}, invalid(Path))
	k.response("good-against-a-list", "the reader's list says revoked, and an answer in the message says good", [][]byte{good}, invalid(Path), crls("alice-revoked"))
}

// delegated is an answer by a responder of an authority.
func (k *kit) delegated(a *testca.Authority, change func(*testca.Response, *testca.Answer), options ...testca.Option) []byte {
	responder := a.Responder(options...)
	return responder.OCSP(k.t, k.aboutAlice(func(r *testca.Response, answer *testca.Answer) {
		r.Certificates = []*cert.Certificate{responder.Certificate}
		if change != nil {
			change(r, answer)
		}
	}))
}

// ocspSigners answer without being asked to.
func (k *kit) ocspSigners() {
	w := k.world
	stranger := testca.Renamed(testca.NewRoot(k.t, "Stranger"), pkix.Name{CommonName: "Test Issuing", Organization: []string{"Example"}})
	by := func(l *testca.Leaf, change func(*testca.Response, *testca.Answer)) []byte {
		return l.OCSP(k.t, k.aboutAlice(func(r *testca.Response, a *testca.Answer) {
			r.Certificates = []*cert.Certificate{l.Certificate}
			if change != nil {
				change(r, a)
			}
		}))
	}
	for name, response := range each(k, map[string][]byte{
		"forged-by-eve":                 by(w.eve, nil),
		"forged-by-alice":               by(w.alice, nil),
		"forged-by-a-namesake":          stranger.OCSP(k.aboutAlice(nil)),
		"forged-by-its-responder":       k.delegated(stranger, nil),
		"forged-by-root":                w.root.OCSP(k.aboutAlice(nil)),
		"responder-of-root":             k.delegated(w.root, nil),
		"responder-expired":             k.delegated(w.issuing, nil, testca.Expired()),
		"responder-not-for-ocsp":        k.delegated(w.issuing, nil, testca.ExtKeyUsage(x509.ExtKeyUsageEmailProtection)),
		"responder-for-any-purpose":     k.delegated(w.issuing, nil, testca.ExtKeyUsage(x509.ExtKeyUsageAny)),
		"responder-certificate-missing": w.issuing.Responder().OCSP(k.t, k.aboutAlice(nil)),
		"named-as-the-issuer": w.eve.OCSP(k.t, k.aboutAlice(func(r *testca.Response, _ *testca.Answer) {
			r.Name, r.Certificates = w.issuing.Certificate, []*cert.Certificate{w.eve.Certificate}
		})),
	}) {
		k.both(name, "an answer that nobody may give: "+name, response, lists, open())
	}
	forged := by(w.eve, revokedAnswer)
	k.response("forged-revocation", "eve answers that alice's certificate was revoked, as anybody on the way could", [][]byte{forged}, valid(letter), policy("who says that it cannot be told is right too"))
	k.response("forged-revocation-and-good", "eve answers that it was revoked, the issuer that it is good", [][]byte{forged, w.issuing.OCSP(k.aboutAlice(nil))}, valid(letter), lists)
}

// ocspTimes are of another time.
func (k *kit) ocspTimes() {
	w := k.world
	now := testca.Now
	for name, times := range each(k, map[string]struct{ this, next time.Time }{
		"stale":          {now.AddDate(0, 0, -9), now.AddDate(0, 0, -2)},
		"stale-a-second": {now.AddDate(0, 0, -1), now.Add(-time.Second)},
		"of-the-future":  {now.AddDate(100, 0, 0), now.AddDate(100, 0, 1)},
	}) {
		response := w.issuing.OCSP(k.aboutAlice(func(r *testca.Response, a *testca.Answer) {
			r.Produced, a.This, a.Next = times.this, times.this, times.next
		}))
		k.both(name, "an answer of another time: "+name, response, lists, open())
	}
	k.both("undated", "an answer of last week that does not say when the next one comes", w.issuing.OCSP(k.aboutAlice(func(r *testca.Response, a *testca.Answer) {
		r.Produced, a.This, a.NoNext = now.AddDate(0, 0, -7), now.AddDate(0, 0, -7), true
	})), lists, open())
}

// ocspOthers are about something else, or about nothing.
func (k *kit) ocspOthers() {
	w := k.world
	namesake := testca.Renamed(testca.NewRoot(k.t, "Stranger"), pkix.Name{CommonName: "Test Issuing", Organization: []string{"Example"}})
	altered := w.issuing.OCSP(k.aboutAlice(nil))
	altered[len(altered)-1] ^= 1
	for name, response := range each(k, map[string][]byte{
		"about-eve":        w.issuing.OCSP(k.aboutAlice(func(_ *testca.Response, a *testca.Answer) { a.About = w.eve.Certificate })),
		"about-a-namesake": w.issuing.OCSP(k.aboutAlice(func(_ *testca.Response, a *testca.Answer) { a.Issuer = namesake.Certificate })),
		"unknown":          w.issuing.OCSP(k.aboutAlice(func(_ *testca.Response, a *testca.Answer) { a.Status = cert.OCSPUnknown })),
		"altered":          altered,
		"serial-exchanged": k.exchange(w.issuing.OCSP(k.aboutAlice(func(_ *testca.Response, a *testca.Answer) { a.About = w.eve.Certificate })), w.eve.Certificate, w.alice.Certificate),
		"try-later":        seq(primitive(0x0a, []byte{3})).der(),
		"no-answer":        w.issuing.OCSP(testca.Response{Answers: []testca.Answer{{About: w.issuing.Certificate, Issuer: w.root.Certificate}}}),
	}) {
		k.both(name, "an answer that tells nothing of alice: "+name, response, lists, open())
	}
}

// exchange puts one serial number in the place of another in a signed response.
func (k *kit) exchange(response []byte, from, to *cert.Certificate) []byte {
	k.t.Helper()
	old, other := bigInteger(from.Serial).der(), bigInteger(to.Serial).der()
	if len(old) != len(other) || !bytes.Contains(response, old) {
		k.t.Fatal("the serial numbers cannot be exchanged")
	}
	return bytes.Replace(response, old, other, 1)
}
