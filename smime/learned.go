package smime

import (
	"crypto/rsa"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
)

// Learned is what a valid signature tells about its maker (RFC 8551 §2.7.1).
type Learned struct {
	// Address is the From address, the only one that anything may be stored under.
	Address string
	Signers []LearnedSigner
}

// LearnedSigner is one signer's.
type LearnedSigner struct {
	Certificate *cert.Certificate
	// Chain leads from the certificate to the trust anchor.
	Chain []*cert.Certificate
	// Encryption is the certificate that mail to the signer is to be encrypted with, which may be the one that signed; nil if there is
	// none in the message that may be believed. EncryptionChain leads from it to the trust anchor.
	Encryption      *cert.Certificate
	EncryptionChain []*cert.Certificate
	// Capabilities are nil if the signer named none.
	Capabilities []cms.Capability
	// SigningTime is the signer's claim, never in the future; zero if there is none. What is older than what is known must not
	// replace it.
	SigningTime time.Time
}

// learn returns what the signers said, but nothing that they say of the future (RFC 8551 §2.7.1): it could never be replaced.
func (op *opener) learn() {
	l := &Learned{Address: op.judge.sender.address.String()}
	for _, layer := range op.layers {
		for i, s := range layer.learned {
			if s.SigningTime.After(op.o.At.Add(maxSkew)) {
				continue
			}
			s.Encryption, s.EncryptionChain = op.judge.encryptionCertificate(layer.verified.signers[i], layer.verified.reader, s.Chain)
			l.Signers = append(l.Signers, s)
		}
	}
	if len(l.Signers) > 0 {
		op.message.Learned = l
	}
}

// encryptionCertificate finds the certificate for mail to a signer (RFC 8551 §2.5.3.1): the one that the signature names, or else the
// one that signed, or else one of the message for the same subject. It is held to what the signer's own is held to.
func (j *judge) encryptionCertificate(r cms.SignerResult, s *cms.SignedReader, chain []*cert.Certificate) (*cert.Certificate, []*cert.Certificate) {
	if r.Certificate == nil {
		return nil, nil
	}
	fits := func(c *cert.Certificate) bool { return c.Subject.Equal(r.Certificate.Subject) }
	if preferred, named := r.EncryptionKeyPreference(); named {
		// Whoever names one does not want another.
		fits = preferred.Matches
	}
	tried := 0
	for _, c := range append([]*cert.Certificate{r.Certificate}, s.Certificates()...) {
		if !c.CanEncrypt() || c.BasicConstraints.CA || !fits(c) || !certpath.Names(c, j.sender.address) {
			continue
		}
		if c.Equal(r.Certificate) {
			return c, chain
		}
		if tried++; tried > cms.MaxCandidates {
			break
		}
		if found := j.encryptionPath(c, s); found != nil {
			return c, found
		}
	}
	return nil, nil
}

// encryptionPath leads from a certificate that did not sign to an anchor; nil if it does not, or somebody has revoked it.
func (j *judge) encryptionPath(c *cert.Certificate, s *cms.SignedReader) []*cert.Certificate {
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSA {
		return nil
	}
	chain, err := certpath.Verify(c, &certpath.Options{
		Anchors:       j.o.Anchors,
		Store:         j.o.Store,
		Intermediates: slices.Concat(j.o.Intermediates, s.Certificates()),
		At:            j.o.At,
		KeyUsage:      encipherment,
		Budget:        j.budget(),
		Issuers:       j.o.Issuers,
	})
	if err != nil {
		return nil
	}
	f := finding{status: StatusValid}
	if j.addRevocation(&f, chain, s, nil); f.status != StatusValid {
		return nil
	}
	return chain
}
