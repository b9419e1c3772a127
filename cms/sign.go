package cms

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

var (
	errLength = errors.New("cms: content is not as long as was announced")
	errClosed = errors.New("cms: write after Close")
)

// SignOptions choose what is signed beside the content. The zero value makes a
// message with its content inside and no signing time.
type SignOptions struct {
	// Detached leaves the content out of the message.
	Detached bool
	// ContentType is that of the content; empty stands for data, which mail is.
	ContentType OID
	// Time becomes the attribute signingTime; zero leaves it out.
	Time time.Time
	// Capabilities become the attribute smimeCapabilities, best first; nil
	// leaves it out.
	Capabilities []Capability
	// Attributes are further signed attributes, of types that Sign does not
	// write itself. Their values are DER.
	Attributes Attributes
	// CRLs and OCSPResponses, in DER, are sent along for those who verify
	// later or without a network (RFC 5652 §10.2.1, RFC 5940).
	CRLs, OCSPResponses [][]byte
	// Timestamp has each signature stamped as it is made: it takes a
	// TimeStampReq (RFC 3161 §2.4.1) to an authority and returns the answer, a
	// TimeStampResp. Close fails when it fails, or the answer is not for this
	// signature. nil asks for no timestamp.
	Timestamp func(request []byte) (response []byte, err error)
	// Indefinite writes the content at once, with indefinite lengths.
	// Otherwise up to 1 MiB of it is held so that the message is DER, and only
	// beyond that it is written so, unless there is a Spool.
	Indefinite bool
	// Spool makes the place where content beyond 1 MiB waits until its length
	// is known, so that the message is DER; nil writes indefinite lengths then.
	Spool func() (Spool, error)
	// Rand is the source of randomness; nil stands for crypto/rand.
	Rand io.Reader
}

func random(r io.Reader) io.Reader {
	if r == nil {
		return rand.Reader
	}
	return r
}

// Sign returns a writer for the content of a SignedData (RFC 5652 §5) by all
// of the signers. Close signs and finishes the message; without it, or after
// an error, what dst has got is no message. A detached signature is written by
// Close alone, in pieces of which some are short. Each signature carries the
// attributes contentType, messageDigest, encryptionKeyPreference (where the
// certificate may encrypt), signingCertificateV2 (RFC 5035) and
// cmsAlgorithmProtection (RFC 6211), and those of the options.
func Sign(dst io.Writer, signers []*Signer, o *SignOptions) (io.WriteCloser, error) {
	w, err := newSignedWriter(signers, o)
	if err != nil {
		return nil, err
	}
	return w, w.begin(dst)
}

func newSignedWriter(signers []*Signer, o *SignOptions) (*signedWriter, error) {
	if len(signers) == 0 {
		return nil, errors.New("cms: nobody signs")
	}
	if o == nil {
		o = &SignOptions{}
	}
	w := &signedWriter{signers: signers, options: *o, constants: make([]*constants, 0, len(signers))}
	if w.options.ContentType == "" {
		w.options.ContentType = oid.Data
	}
	var err error
	if w.revocation, err = revocationInfo(o.CRLs, o.OCSPResponses); err != nil {
		return nil, err
	}
	if err := checkFurther(o.Attributes); err != nil {
		return nil, err
	}
	for i, s := range signers {
		c, err := s.prepare()
		if err != nil {
			return nil, fmt.Errorf("signer %d: %w", i+1, err)
		}
		w.constants = append(w.constants, c)
		if w.digest(c.scheme.Digest.Algorithm) != nil {
			continue
		}
		h, ok := signature.NewHash(c.scheme.Digest)
		if !ok {
			return nil, fmt.Errorf("signer %d: %w: digest %s", i+1, ErrUnsupported, c.scheme.Digest.Algorithm.Name())
		}
		w.digests = append(w.digests, contentDigest{h, c.scheme.Digest.Algorithm, c.digestAlgorithm})
	}
	return w, nil
}

type signedWriter struct {
	signers   []*Signer
	constants []*constants // of each signer
	options   SignOptions
	digests   []contentDigest
	framing   *framing // of the content
	closed    bool

	// Of a message without content: where it goes, and its eContentType.
	dst         io.Writer
	contentType []byte

	revocation [][]byte // RevocationInfoChoices
	// lean leaves certificates out (RFC 3161 §2.4.1, certReq).
	lean bool
}

// contentDigest is one algorithm at work on the content.
type contentDigest struct {
	hash.Hash
	algorithm OID
	der       []byte // its AlgorithmIdentifier
}

// digest returns nil for an algorithm that no signer has.
func (w *signedWriter) digest(algorithm OID) hash.Hash {
	for _, d := range w.digests {
		if d.algorithm == algorithm {
			return d.Hash
		}
	}
	return nil
}

// begin prepares what stands ahead of the content.
func (w *signedWriter) begin(dst io.Writer) (err error) {
	if w.options.Detached {
		w.dst = dst
		w.contentType, err = w.options.ContentType.Append(make([]byte, 0, 16))
		return err
	}
	w.framing, err = encapsulating(dst, oid.SignedData, w.options.ContentType, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(w.version())
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			for _, e := range sortedSet(w.digestAlgorithms()) {
				b.AddBytes(e)
			}
		})
	})
	if err != nil {
		return err
	}
	w.framing.spool = w.options.Spool
	return w.framing.begin(-1, 0, w.options.Indefinite)
}

// version is CMSVersion as RFC 5652 §5.1 computes it; no signer here is named
// by key identifier.
func (w *signedWriter) version() int64 {
	switch {
	case len(w.options.OCSPResponses) > 0:
		return 5
	case w.options.ContentType != oid.Data:
		return 3
	}
	return 1
}

func (w *signedWriter) digestAlgorithms() [][]byte {
	elements := make([][]byte, len(w.digests))
	for i, d := range w.digests {
		elements[i] = d.der
	}
	return elements
}

func (w *signedWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errClosed
	}
	for _, h := range w.digests {
		h.Write(p)
	}
	if w.options.Detached {
		return len(p), nil
	}
	return w.framing.Write(p)
}

// Flush implements Flusher.
func (w *signedWriter) Flush() error {
	if w.options.Detached {
		return nil
	}
	return w.framing.Flush()
}

func (w *signedWriter) Close() error {
	if w.closed {
		return errClosed
	}
	w.closed = true
	tail, err := w.tail()
	if err != nil {
		return err
	}
	if w.options.Detached {
		return w.writeDetached(tail)
	}
	return w.framing.finish(slices.Concat(tail...))
}

// writeDetached writes the message without [0] eContent. It is as short as the
// signature, and takes no layers.
func (w *signedWriter) writeDetached(tail [][]byte) error {
	var room [16]byte
	contentInfo, err := oid.SignedData.Append(room[:0])
	if err != nil {
		return err
	}
	signed := appendSet([]byte{byte(asn1.INTEGER), 1, byte(w.version())}, ber.Universal, ber.TagSet, w.digestAlgorithms())
	body := len(signed) + elementSize(len(w.contentType)) + sizeOf(tail)
	info := len(contentInfo) + elementSize(elementSize(body))
	head := ber.AppendHeader(make([]byte, 0, elementSize(info)-sizeOf(tail)), ber.Universal, true, ber.TagSequence, int64(info))
	head = append(head, contentInfo...)
	head = ber.AppendHeader(head, ber.ContextSpecific, true, 0, int64(elementSize(body)))
	head = ber.AppendHeader(head, ber.Universal, true, ber.TagSequence, int64(body))
	head = append(head, signed...)
	head = ber.AppendHeader(head, ber.Universal, true, ber.TagSequence, int64(len(w.contentType)))
	if _, err := w.dst.Write(append(head, w.contentType...)); err != nil {
		return err
	}
	for _, piece := range tail {
		if _, err := w.dst.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// elementSize is the length of an element with that much content.
func elementSize(content int) int { return int(ber.HeaderSize(int64(content))) + content }

// tail is certificates, crls and signerInfos, in pieces.
func (w *signedWriter) tail() ([][]byte, error) {
	infos := make([][]byte, len(w.signers))
	for i, c := range w.constants {
		info, err := w.signerInfo(c)
		if err != nil {
			return nil, fmt.Errorf("signer %d: %w", i+1, err)
		}
		infos[i] = info
	}
	var pieces [][]byte
	if certificates := w.certificates(); len(certificates) > 0 {
		pieces = addSet(make([][]byte, 0, len(certificates)+len(w.revocation)+len(infos)+3), ber.ContextSpecific, 0, certificates)
	}
	if len(w.revocation) > 0 {
		pieces = addSet(pieces, ber.ContextSpecific, 1, w.revocation)
	}
	return addSet(pieces, ber.Universal, ber.TagSet, infos), nil
}

// addSet is appendSet without a copy of the elements.
func addSet(pieces [][]byte, class ber.Class, number int, elements [][]byte) [][]byte {
	return append(append(pieces, ber.AppendHeader(make([]byte, 0, 8), class, true, number, int64(sizeOf(elements)))), sortedSet(elements)...)
}

func sizeOf(pieces [][]byte) (n int) {
	for _, p := range pieces {
		n += len(p)
	}
	return n
}

// certificates are the signers' and their chains', each once, without roots.
func (w *signedWriter) certificates() [][]byte {
	if w.lean {
		return nil
	}
	var all []*cert.Certificate
	for _, s := range w.signers {
		all = append(all, s.Certificates()...)
	}
	return raws(all)
}

// Certificates returns the signer's own, the one to encrypt to where that is
// another, and the chain without roots, as they are sent with a signature; see
// [Amendment].
func (s *Signer) Certificates() []*cert.Certificate {
	out := append(make([]*cert.Certificate, 0, 2+len(s.Chain)), s.Certificate)
	if s.Encryption != nil {
		out = append(out, s.Encryption)
	}
	for _, c := range s.Chain {
		if !c.SelfIssued() {
			out = append(out, c)
		}
	}
	return out
}

func (w *signedWriter) signerInfo(c *constants) ([]byte, error) {
	attrs, err := w.attributes(c)
	if err != nil {
		return nil, err
	}
	return c.sign(attrs, random(w.options.Rand), w.stamp)
}

// Micalg returns the parameter micalg of multipart/signed for signatures by
// these signers: the digests' names of RFC 8551 §3.5.3.2, separated by commas.
func Micalg(signers []*Signer) (string, error) {
	var names []string
	seen := map[OID]bool{}
	for i, s := range signers {
		c, err := s.prepare()
		if err != nil {
			return "", fmt.Errorf("signer %d: %w", i+1, err)
		}
		if d := c.scheme.Digest.Algorithm; !seen[d] {
			seen[d] = true
			names = append(names, micalg(d))
		}
	}
	return strings.Join(names, ","), nil
}

func micalg(digest OID) string {
	switch digest {
	case oid.SHA224:
		return "sha-224"
	case oid.SHA256:
		return "sha-256"
	case oid.SHA384:
		return "sha-384"
	case oid.SHA512:
		return "sha-512"
	}
	return digest.Name() // RFC 8551: the registry's name; SHA-3's is "sha3-256"
}
