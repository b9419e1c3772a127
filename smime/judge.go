package smime

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
)

// minRSA is the smallest RSA key that is believed (RFC 8551 §4.3).
const minRSA = 2048

// judge turns the facts about a signature into a status.
type judge struct {
	o       *OpenOptions
	sender  binding
	judged  int // signers so far
	asked   int // signers of whose revocation something is known, or would have to be
	unasked int // signers of whom nothing is known, and who name no source
	notes   []string
	raw     bool // there is no sender, and with o nil no trust is asked for
}

// minBudget is enough for a path without any detour.
const minBudget = 20

// budget is how much work the path of the next signer may make. The first may need a search; a message with hundreds of signers,
// each with a chain that was made to be slow, must not take hundreds of times as long.
func (j *judge) budget() int {
	b := max(certpath.DefaultBudget>>j.judged, minBudget)
	j.judged++
	return b
}

// finding gathers what is wrong with one signature.
type finding struct {
	status  Status
	reasons []string
}

func (f *finding) add(s Status, format string, args ...any) {
	reason := fmt.Sprintf(format, args...)
	if worse(f.status, s) == s {
		// The reason for the status that counts comes first.
		f.reasons = append([]string{reason}, f.reasons...)
	} else {
		f.reasons = append(f.reasons, reason)
	}
	f.status = worse(f.status, s)
}

// words is an error for people, who need not know which package found it.
func words(err error) string {
	return strings.NewReplacer("cms: ", "", "entity: ", "", "smime: ", "").Replace(err.Error())
}

// signer judges one signature: its own correctness, the strength of its algorithms, the address, the path, revocation.
func (j *judge) signer(r cms.SignerResult, s *cms.SignedReader) (Signer, LearnedSigner) {
	f := finding{status: StatusValid}
	f.addSignature(r)
	var chain []*cert.Certificate
	var stamped time.Time
	if r.Certificate != nil {
		f.addStrength(r)
		if !j.raw {
			j.addAddress(&f, r.Certificate)
			j.addHolder(&f, r.Certificate)
		}
		if j.o != nil {
			proof := j.prove(&r, s)
			stamped = proof.Time
			chain = j.addPath(&f, r.Certificate, s, proof)
		}
	}
	out := Signer{Status: f.status, Reason: strings.Join(f.reasons, "; "), Algorithm: r.Algorithm, SigningTime: r.SigningTime, Timestamped: stamped, Emails: []string{}}
	if c := r.Certificate; c != nil {
		if emails := c.Emails(); emails != nil {
			out.Emails = emails
		}
		out.Subject, out.Issuer = c.Subject.String(), c.Issuer.String()
		out.Serial, out.SHA256 = c.SerialHex(), c.SHA256()
	}
	return out, LearnedSigner{Certificate: r.Certificate, Chain: chain, Capabilities: r.Capabilities, SigningTime: r.SigningTime}
}

// addSignature says whether content and attributes are what was signed.
func (f *finding) addSignature(r cms.SignerResult) {
	switch {
	case r.Err == nil && r.Certificate == nil, errors.Is(r.Err, cms.ErrNoCertificate):
		f.add(StatusUntrusted, "the signer's certificate is not in the message")
	case errors.Is(r.Err, cms.ErrUnsupported):
		f.add(StatusUnsupported, "%s", words(r.Err))
	case r.Err != nil:
		f.add(StatusInvalid, "%s", words(r.Err))
	}
}

func (f *finding) addStrength(r cms.SignerResult) {
	if r.Weak {
		f.add(StatusWeak, "%s can be forged", r.Algorithm)
	}
	if key, ok := r.Certificate.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSA {
		f.add(StatusWeak, "the key has %d bits, %d are needed", key.N.BitLen(), minRSA)
	}
}

// addAddress says whether the certificate names the sender.
func (j *judge) addAddress(f *finding, c *cert.Certificate) {
	switch {
	case j.sender.problem != "":
		f.add(StatusAddressMismatch, "%s", j.sender.problem)
	case !certpath.Names(c, j.sender.address):
		f.add(StatusAddressMismatch, "the certificate does not name %s", j.sender.address)
	}
}

// addHolder says whether the certificate is a person's. An authority writes no mail (RFC 8550 §4.4.1, S/MIME BR §7.1.2.3): if its key
// signs one, either the key or the authority is not what it should be. A certificate that the caller trusts for itself is another
// matter: what people make for themselves often has cA in it, because OpenSSL writes it by default.
func (j *judge) addHolder(f *finding, c *cert.Certificate) {
	if c.BasicConstraints.CA && !slices.ContainsFunc(j.o.Anchors, c.Equal) {
		f.add(StatusUntrusted, "the certificate is an authority's, and authorities write no mail")
	}
}

// addPath says whether the certificate leads to an anchor and stands. One that has ended stands where a timestamp proves that it was
// used before.
func (j *judge) addPath(f *finding, c *cert.Certificate, s *cms.SignedReader, proof *cades.Proof) []*cert.Certificate {
	stamped := proof.Time
	o := &certpath.Options{
		Anchors:       j.o.Anchors,
		Store:         j.o.Store,
		Intermediates: slices.Concat(j.o.Intermediates, s.Certificates()),
		At:            j.o.At,
		KeyUsage:      cert.KeyUsageDigitalSignature | cert.KeyUsageContentCommitment,
		Budget:        j.budget(),
		Known:         j.o.Known,
		Issuers:       j.o.Issuers,
	}
	chain, err := certpath.Verify(c, o)
	if reasonOf(err) == certpath.Expired && !stamped.IsZero() && stamped.Before(j.o.At) {
		o.At = stamped
		chain, err = certpath.Verify(c, o)
	}
	if err != nil {
		f.add(PathStatus(err), "%v", err)
		if reasonOf(err) != certpath.Expired {
			return nil
		}
		// A revoked key stays revoked when its certificate has ended: judge the path as it was on the last day.
		o.At = c.NotAfter
		if chain, err = certpath.Verify(c, o); err != nil {
			return nil
		}
	}
	j.addRevocation(f, chain, s, proof)
	return chain
}

// PathStatus is the status of a signer whose certificate has that error of certpath.Verify.
func PathStatus(err error) Status {
	switch reasonOf(err) {
	case certpath.Expired:
		return StatusExpired
	case certpath.Weak:
		return StatusWeak
	case certpath.Unsupported:
		return StatusUnsupported
	}
	return StatusUntrusted
}

func reasonOf(err error) certpath.Reason {
	var e *certpath.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return certpath.NoPath
}
