package issuance

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// crossPathLen: issuing authorities below the root, and no more.
const crossPathLen = 1

// CrossCertify certifies the name and the key of another root, so that whoever
// trusts this one can build a chain from what is below the other. The certificate
// limits the other root as it limits itself, and to mail and client authentication.
func (is *Issuer) CrossCertify(other *cert.Certificate, serial *big.Int, notBefore time.Time) (*cert.Certificate, error) {
	if err := is.checkCross(other); err != nil {
		return nil, fmt.Errorf("cross-certify %s: %w", other.Subject, err)
	}
	subject, err := readSubject(other.Subject, other.RawSubject)
	if err != nil {
		return nil, fmt.Errorf("cross-certify %s: %w", other.Subject, err)
	}
	r := AuthorityRequest{
		Subject: subject, Key: other.PublicKey, Serial: serial, Domains: PermittedDomains(other),
		NotBefore: later(notBefore, is.certificate.NotBefore, other.NotBefore), NotAfter: earlier(is.certificate.NotAfter, other.NotAfter),
	}
	t, err := r.begin(crossPathLen)
	if err != nil {
		return nil, fmt.Errorf("cross-certify %s: %w", other.Subject, err)
	}
	t.issuer, t.algorithm = is.certificate.RawSubject, is.scheme.Algorithm
	t.extensions = append(t.extensions,
		extKeyUsage(oid.EmailProtection, oid.ClientAuth),
		mailOnly(r.Domains),
		authorityKeyID(is.certificate.SubjectKeyID),
		certificatePolicies(oid.AnyPolicy),
		crlDistributionPoint(is.PartitionURL(is.Partition(r.Serial))),
		authorityInfoAccess("", is.certificateURL),
	)
	c, err := is.signer.finish(t)
	if err != nil {
		return nil, fmt.Errorf("cross-certify %s: %w", other.Subject, err)
	}
	return c, nil
}

// checkCross: two different roots, the other one ours in form, and its signature
// its own.
func (is *Issuer) checkCross(other *cert.Certificate) error {
	switch {
	case cert.SameKey(other.PublicKey, is.certificate.PublicKey):
		return errors.New("it has the same key")
	case !other.BasicConstraints.CA || !other.SelfIssued():
		return errors.New("it is no root")
	}
	return other.CheckSignatureFrom(other)
}

func later(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
