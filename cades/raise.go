package cades

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/signature"
	"github.com/mailseal/mailseal/revocation"
)

// RaiseOptions say how far to raise a signature, and with what.
type RaiseOptions struct {
	Options
	// Level is the highest level to raise to.
	Level Level
	// Timestamp takes a TimeStampReq to an authority and returns its answer;
	// nil adds no timestamp.
	Timestamp func(request []byte) (response []byte, err error)
	// Renew adds an archive timestamp though there is one already.
	Renew bool
	// Digest is that of archive timestamps; 0 stands for the signer's own, or
	// SHA-512 where that is none for timestamps.
	Digest crypto.Hash
	// Rand is the source of nonces; nil stands for crypto/rand.
	Rand io.Reader
	// Limits bound the message; nil stands for cms's own.
	Limits *cms.Limits
}

// Raise adds to each signature of a detached SignedData what lacks up to
// o.Level, without touching anything that is signed: a timestamp (§5.3), the
// certificates and the lists of o (§6.3 d and o), an archive timestamp (§5.5.3).
// content opens what was signed; it is called several times.
//
// Raise goes as far as it can. The assessments, one for each signer, say where
// it stands and what was missing for more. An error is about a signature that
// does not fit, an authority that did not answer, or a message that cannot be
// read.
func Raise(signature []byte, content func() io.Reader, o *RaiseOptions) ([]byte, []*Assessment, error) {
	w := &raising{message: signature, content: content, o: o}
	for _, step := range []struct {
		level Level
		add   func() error
	}{{BT, w.addTimestamps}, {BLT, w.addMaterial}, {BLTA, w.addArchiveTimestamps}} {
		if o.Level < step.level {
			break
		}
		if err := w.read(); err != nil {
			return nil, nil, err
		}
		if err := step.add(); err != nil {
			return nil, nil, err
		}
	}
	if err := w.read(); err != nil {
		return nil, nil, err
	}
	return w.message, w.found, nil
}

// raising is a message that grows.
type raising struct {
	message []byte
	content func() io.Reader
	o       *RaiseOptions

	reader *cms.SignedReader
	found  []*Assessment
}

// read assesses the message as it stands.
func (w *raising) read() error {
	r, err := cms.NewReader(bytes.NewReader(w.message), w.o.Limits)
	if err != nil {
		return err
	}
	w.reader, err = r.SignedData(&cms.SignedOptions{Content: w.content(), Certificates: w.o.Intermediates})
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, w.reader); err != nil {
		return err
	}
	if len(w.reader.Signers()) == 0 {
		return errors.New("cades: nobody signed this")
	}
	w.found = nil
	for i := range w.reader.Signers() {
		w.found = append(w.found, Assess(&w.reader.Signers()[i], w.reader, &w.o.Options))
	}
	return nil
}

func (w *raising) amend(a *cms.Amendment) error {
	a.Limits = w.o.Limits
	var out bytes.Buffer
	if err := cms.Amend(&out, bytes.NewReader(w.message), int64(len(w.message)), a); err != nil {
		return err
	}
	w.message = out.Bytes()
	return nil
}

// addTimestamps has each signature stamped that has no timestamp which can be
// believed, while its certificate is still good (requirement m).
func (w *raising) addTimestamps() error {
	if w.o.Timestamp == nil {
		return nil
	}
	return w.amend(&cms.Amendment{Unsigned: func(i int, si *cms.SignerInfo) (cms.Attributes, error) {
		a := w.found[i]
		if slices.ContainsFunc(a.Timestamps, (*Stamp).Trusted) {
			return nil, nil
		}
		if err := w.tooLate(a); err != nil {
			return nil, err
		}
		q, err := cms.NewTimestampRequest(si.Signature, 0, w.o.Rand)
		if err != nil {
			return nil, err
		}
		response, err := w.ask(q)
		if err != nil {
			return nil, err
		}
		token, _, err := q.Open(response)
		if err != nil {
			return nil, err
		}
		return cms.Attributes{cms.TimestampAttribute(token)}, nil
	}})
}

// tooLate tells why a timestamp would prove nothing any more.
func (w *raising) tooLate(a *Assessment) error {
	chain, err := w.o.path(a.signer.Certificate, w.o.Purpose, w.o.At, w.reader.Certificates(), w.o.Budget)
	if err != nil {
		return fmt.Errorf("a timestamp now would prove nothing: %w", err)
	}
	if status, err := w.o.check(chain, w.o.Evidence, a.embedded(chain), w.o.At, nil); status == revocation.Revoked {
		return fmt.Errorf("a timestamp now would prove nothing: %w", err)
	}
	return nil
}

func (w *raising) ask(q *cms.TimestampRequest) ([]byte, error) {
	der, err := q.DER()
	if err != nil {
		return nil, err
	}
	response, err := w.o.Timestamp(der)
	if err != nil {
		return nil, fmt.Errorf("get a timestamp: %w", err)
	}
	return response, nil
}

// addMaterial adds certificates, each once, and what tells of their revocation.
func (w *raising) addMaterial() error {
	amendment := &cms.Amendment{}
	for _, a := range w.found {
		if a.Chain != nil {
			w.material(amendment, a, a.Chain, nil, a.Time, true)
		}
		for _, s := range slices.Concat(a.Timestamps, a.Archive) {
			if s.Trusted() {
				w.material(amendment, a, s.Chain, s.Certificates, s.Existed(), false)
			}
		}
	}
	return w.amend(amendment)
}

// material gathers what it takes to verify a chain that was used at a time. token
// are certificates that need not be added. later says that what tells of the
// first certificate must be of that time or later; see [Proof.Revocation].
func (w *raising) material(amendment *cms.Amendment, a *Assessment, chain, token []*cert.Certificate, at time.Time, later bool) {
	add := func(certificates ...*cert.Certificate) {
		for _, c := range certificates {
			if !slices.ContainsFunc(token, c.Equal) {
				amendment.Certificates = append(amendment.Certificates, c)
			}
		}
	}
	add(chain...)
	var used revocation.Evidence
	for i := range chain[:len(chain)-1] {
		below := chain[i:]
		given, brought := w.o.Evidence, a.embedded(below)
		if i == 0 && later {
			given, brought = since(given, below, at), since(brought, below, at)
		}
		// What is not known all the same is among what the assessment misses.
		_, _ = w.o.check(below, join(given, used), brought, at, &used)
	}
	add(used.Certificates...)
	for _, l := range used.CRLs {
		amendment.CRLs = append(amendment.CRLs, l.Raw)
	}
	for _, r := range used.Responses {
		amendment.OCSPResponses = append(amendment.OCSPResponses, r.Raw)
	}
}

// addArchiveTimestamps goes around those signatures that have all of B-LT.
func (w *raising) addArchiveTimestamps() error {
	if w.o.Timestamp == nil {
		return nil
	}
	digest := w.digest()
	if err := w.announce(digest); err != nil {
		return err
	}
	return w.amend(&cms.Amendment{Unsigned: func(i int, _ *cms.SignerInfo) (cms.Attributes, error) {
		if level := w.found[i].Level; level < BLT || level == BLTA && !w.o.Renew {
			return nil, nil
		}
		q, err := w.reader.ArchiveTimestampRequest(i, digest, w.o.Rand)
		if err != nil {
			return nil, err
		}
		response, err := w.ask(q.TimestampRequest)
		if err != nil {
			return nil, err
		}
		attribute, _, err := q.OpenAttribute(response)
		return cms.Attributes{attribute}, err
	}})
}

// digest is that of the archive timestamps: what the caller says, or 0 for that of
// each signer, unless one of them has none that an authority would take.
func (w *raising) digest() crypto.Hash {
	if w.o.Digest != 0 {
		return w.o.Digest
	}
	for _, a := range w.found {
		if h, ok := signature.Hash(a.signer.DigestAlgorithm); !ok || h == crypto.SHA1 || h == crypto.MD5 {
			return crypto.SHA512
		}
	}
	return 0
}

// announce lists the digest of the archive timestamp among digestAlgorithms, so
// that whoever reads the message hashes the content with it (§5.5.3, step 2).
func (w *raising) announce(h crypto.Hash) error {
	if h == 0 {
		return nil
	}
	digest, ok := signature.DigestAlgorithm(h)
	if !ok {
		return fmt.Errorf("cades: archive timestamp with digest %v", h)
	}
	if err := w.amend(&cms.Amendment{Digests: []cms.AlgorithmIdentifier{digest}}); err != nil {
		return err
	}
	return w.read()
}
