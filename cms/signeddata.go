package cms

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync/atomic"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/ahead"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// SignedOptions are what [Reader.SignedData] needs beside the message.
type SignedOptions struct {
	// Content is the content of a detached signature. It must be nil for a
	// message that has its own: which one would be shown?
	Content io.Reader
	// Certificates are further ones among which signers are looked for.
	Certificates []*cert.Certificate
	// ParseCertificate reads the message's certificates; nil is [cert.Parse].
	// A [cert.Cache] saves time where the same ones come again and again.
	ParseCertificate func(der []byte) (*cert.Certificate, error)
	// WithoutAttributes takes signatures over the content alone, without
	// signed attributes. Old mail has them; they let the attributes of one
	// message pass as the content of another, which is looked for and refused.
	WithoutAttributes bool
}

// SignedReader reads a SignedData (RFC 5652 §5). What Read gives is not
// verified before the end: the last Read returns io.EOF only if every
// signature is right, and otherwise an error that wraps the first failing
// signer's. A message without signers reads to io.EOF: it proves nothing.
type SignedReader struct {
	r            *Reader
	contentType  OID
	content      io.Reader // nil once read
	detached     bool
	digests      map[OID]hash.Hash
	set          bool   // the content begins as signed attributes would
	head         []byte // of such content: enough to see attributes in it
	size         int64
	certificates []*cert.Certificate
	extra        []*cert.Certificate
	parse        func([]byte) (*cert.Certificate, error)
	unreadable   int
	crls         [][]byte
	ocsp         [][]byte
	archive      archived
	infos        []*SignerInfo
	bare         bool
	nested       bool // unsigned attributes are not looked into
	results      []SignerResult
	err          error
}

// headSize is how much content is kept to tell whether it is a set of signed
// attributes; those of real messages are far below.
const headSize = 64 << 10

// SignedData continues with the body of a message of type oid.SignedData.
func (r *Reader) SignedData(o *SignedOptions) (*SignedReader, error) {
	if err := r.wants(oid.SignedData); err != nil {
		return nil, err
	}
	if o == nil {
		o = &SignedOptions{}
	}
	s := &SignedReader{r: r, extra: o.Certificates, parse: o.ParseCertificate, bare: o.WithoutAttributes, digests: map[OID]hash.Hash{}}
	if s.parse == nil {
		s.parse = cert.Parse
	}
	if err := s.readHead(); err != nil {
		return nil, err
	}
	if !s.detached {
		if o.Content != nil {
			return nil, fmt.Errorf("%w: content inside a detached signature", ErrMalformed)
		}
		return s, nil
	}
	// What follows is small, and names the digests that are needed.
	if err := s.readTail(); err != nil {
		return nil, err
	}
	for _, si := range s.infos {
		s.addDigest(si.DigestAlgorithm)
		for _, d := range archiveDigests(si) {
			s.addDigest(d)
		}
	}
	s.content = o.Content
	if s.content == nil && len(s.infos) > 0 {
		return nil, ErrNoContent
	}
	return s, nil
}

func (s *SignedReader) addDigest(a AlgorithmIdentifier) {
	if s.digests[a.Algorithm] != nil {
		return
	}
	if h, ok := signature.NewHash(a); ok {
		s.digests[a.Algorithm] = h
	}
}

func (s *SignedReader) readHead() error {
	r := s.r
	if err := r.enter("SignedData"); err != nil {
		return err
	}
	if err := r.readVersion("SignedData version"); err != nil {
		return err
	}
	err := r.elements("digestAlgorithms", ber.Universal, ber.TagSet, maxDigests, func(der []byte) error {
		in := cryptobyte.String(der)
		var a AlgorithmIdentifier
		if !oid.ReadAlgorithm(&in, &a) {
			return malformed("digestAlgorithms", nil)
		}
		s.addDigest(a)
		return nil
	})
	if err != nil {
		return err
	}
	contentType, content, err := r.openContent()
	s.contentType, s.detached = contentType, content == nil
	if content != nil {
		s.content = content
	}
	return err
}

// readTail reads what stands behind the content.
func (s *SignedReader) readTail() error {
	r := s.r
	if present, err := r.next("certificates", 0); err != nil {
		return err
	} else if present {
		if err := s.readCertificates(); err != nil {
			return err
		}
	}
	if present, err := r.next("crls", 1); err != nil {
		return err
	} else if present {
		if err := r.rawElements("crls", ber.ContextSpecific, 1, r.limits.Certificates, s.addRevocation); err != nil {
			return err
		}
	}
	err := r.rawElements("signerInfos", ber.Universal, ber.TagSet, r.limits.Signers, s.addSignerInfo)
	if err != nil {
		return err
	}
	return r.end("SignedData")
}

func (s *SignedReader) addSignerInfo(raw []byte) error {
	der, err := ber.DER(raw)
	if err != nil {
		return malformed(fmt.Sprintf("signer %d", len(s.infos)+1), err)
	}
	si, err := parseSignerInfo(der)
	if err != nil {
		return fmt.Errorf("signer %d: %w", len(s.infos)+1, err)
	}
	si.raw = raw
	s.infos = append(s.infos, si)
	return nil
}

// readCertificates keeps each certificate octet for octet. One that does not
// parse is of no use and no harm; other kinds (RFC 5652 §10.2.2) are skipped.
func (s *SignedReader) readCertificates() error {
	r := s.r
	if _, err := r.ber.Enter(); err != nil {
		return malformed("certificates", err)
	}
	const few = 4 // as most messages have at most
	s.archive.certificates, s.certificates = make([][]byte, 0, few), make([]*cert.Certificate, 0, few)
	for n := 0; ; n++ {
		h, err := r.ber.Peek()
		if errors.Is(err, io.EOF) {
			return r.leave("certificates")
		}
		if err != nil {
			return malformed("certificates", err)
		}
		if n == r.limits.Certificates {
			return malformed(fmt.Sprintf("more than %d certificates", n), nil)
		}
		raw, err := r.ber.Raw(r.limits.Metadata - r.metadata)
		if err != nil {
			return malformed(fmt.Sprintf("certificate %d", n+1), err)
		}
		r.metadata += len(raw)
		s.archive.certificates = append(s.archive.certificates, raw)
		if !h.Is(ber.Universal, ber.TagSequence) {
			continue
		}
		if c, err := s.parse(raw); err == nil {
			s.certificates = append(s.certificates, c)
		} else {
			s.unreadable++
		}
	}
}

// addRevocation sorts a RevocationInfoChoice (RFC 5652 §10.2.1): a CRL, or in
// [1] another format, of which OCSP responses are known (RFC 5940 §2.1).
func (s *SignedReader) addRevocation(raw []byte) error {
	s.archive.revocation = append(s.archive.revocation, raw)
	der, err := ber.DER(raw)
	if err != nil {
		return malformed("crls", err)
	}
	in := cryptobyte.String(der)
	var other cryptobyte.String
	if !in.ReadASN1(&other, context1.Constructed()) {
		s.crls = append(s.crls, der)
		return nil
	}
	var format OID
	if oid.Read(&other, &format) && format == oid.RevocationOCSP {
		s.ocsp = append(s.ocsp, other)
	}
	return nil
}

// Read implements io.Reader; see [SignedReader].
func (s *SignedReader) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.content == nil {
		return 0, s.finish()
	}
	n, err := s.content.Read(p)
	s.hash(p[:n])
	if errors.Is(err, io.EOF) {
		s.content = nil
		if n == 0 {
			return 0, s.finish()
		}
		return n, nil
	}
	if err != nil {
		s.fail(err)
	}
	return n, s.err
}

// fail keeps why the content cannot be read further.
func (s *SignedReader) fail(err error) {
	if !s.detached {
		err = malformed("eContent", err)
	}
	s.err = err
}

// WriteTo implements io.WriterTo: one block is hashed and written while the next
// is read, on a goroutine that has ended when WriteTo returns. What could not be
// written is not verified: every later call fails.
func (s *SignedReader) WriteTo(w io.Writer) (int64, error) {
	if s.err != nil || s.content == nil {
		return 0, s.end()
	}
	content := ahead.NewReader(s.content)
	defer content.Close()
	both := hashedCopy{s: s, w: w}
	n, err := content.WriteTo(&both)
	s.content = nil
	switch {
	case both.err != nil:
		// What was read ahead is lost. The writer's io.EOF would be this reader's word that all is right.
		s.err = fmt.Errorf("cms: the content could not be written: %v", both.err)
		return n, both.err
	case err != nil:
		s.fail(err)
	}
	return n, s.end()
}

// end is how a copy of the content ends, which io.EOF is no error for.
func (s *SignedReader) end() error {
	if s.err == nil {
		s.err = s.finish()
	}
	if errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}

// hashedCopy hashes what it writes.
type hashedCopy struct {
	s   *SignedReader
	w   io.Writer
	err error
}

func (h *hashedCopy) Write(p []byte) (n int, err error) {
	h.s.hash(p)
	n, h.err = h.w.Write(p)
	return n, h.err
}

func (s *SignedReader) hash(p []byte) {
	for _, h := range s.digests {
		h.Write(p)
	}
	if s.size == 0 && len(p) > 0 {
		s.set = p[0] == tagSet
	}
	if room := headSize - len(s.head); s.set && room > 0 {
		s.head = append(s.head, p[:min(room, len(p))]...)
	}
	s.size += int64(len(p))
}

// finish reads the rest and checks the signers; it returns io.EOF or what the
// last Read is to fail with.
func (s *SignedReader) finish() error {
	if !s.detached {
		if s.err = s.r.leaveContent(); s.err != nil {
			return s.err
		}
		if s.err = s.readTail(); s.err != nil {
			return s.err
		}
	}
	c := checker{contentType: s.contentType, bare: s.bare, digests: map[OID][]byte{}, work: &atomic.Int64{}}
	c.work.Store(MaxWork)
	if s.nested {
		c.work.Store(maxStampWork)
	}
	c.certificates = slices.Concat(s.certificates, s.extra)
	for algorithm, h := range s.digests {
		c.digests[algorithm] = h.Sum(nil)
	}
	c.attributes = s.size == int64(len(s.head)) && isSignedAttributes(s.head)
	s.archive.contentType, s.archive.digests = s.contentType, c.digests
	s.results = make([]SignerResult, len(s.infos))
	ahead.Parallel(len(s.infos), func(i int) { s.results[i] = c.check(s.infos[i]) })
	if !s.nested {
		u := unsigned{certificates: c.certificates, bare: s.bare, left: MaxUnsignedSignatures, work: c.work, archive: &s.archive}
		for i := range s.results {
			u.add(&s.results[i], 0)
		}
	}
	s.err = io.EOF
	for i, r := range s.results {
		if r.Err != nil {
			s.err = fmt.Errorf("signer %d: %w", i+1, r.Err)
			break
		}
	}
	return s.err
}

// tagSet is the first octet of a SET OF, in BER as in DER.
const tagSet = 0x31

// isSignedAttributes reports whether content could have been signed as the
// attributes of another message: a SET OF Attribute with content type and
// message digest.
func isSignedAttributes(content []byte) bool {
	der, err := ber.DER(content)
	if err != nil || len(der) == 0 || der[0] != tagSet {
		return false
	}
	s := cryptobyte.String(der)
	var set cryptobyte.String
	s.ReadASN1(&set, tagSet)
	attrs, ok := parseAttributes(set)
	return ok && len(attrs.Values(oid.AttrContentType)) > 0 && len(attrs.Values(oid.AttrMessageDigest)) > 0
}

// Signers returns what each SignerInfo proves, once the content has been read
// to its end; nil before.
func (s *SignedReader) Signers() []SignerResult { return s.results }

// Detached reports whether the content is outside the message.
func (s *SignedReader) Detached() bool { return s.detached }

// ContentType returns the type of the content: oid.Data for mail.
func (s *SignedReader) ContentType() OID { return s.contentType }

// Certificates returns those of the message, unverified. They stand behind
// encapsulated content and are there once it has been read.
func (s *SignedReader) Certificates() []*cert.Certificate { return s.certificates }

// CRLs returns the certificate revocation lists of the message as DER.
func (s *SignedReader) CRLs() [][]byte { return s.crls }

// OCSPResponses returns the OCSP responses of the message as DER (RFC 5940).
func (s *SignedReader) OCSPResponses() [][]byte { return s.ocsp }

var _ io.WriterTo = (*SignedReader)(nil)
