package cms

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

var (
	errLength = errors.New("cms: content is not as long as was announced")
	errClosed = errors.New("cms: write after Close")
)

// Signer is one who signs: a key, its certificate, and the chain that is sent
// along. The root stays out of the chain: a verifier has it or does not trust
// it.
type Signer struct {
	Key         crypto.Signer
	Certificate *cert.Certificate
	Chain       []*cert.Certificate // issuing certificates, in any order
	// Digest is the digest; 0 is what suits the key: SHA-256, SHA-384 for
	// P-384, SHA-512 for P-521, Ed25519 and ML-DSA.
	Digest crypto.Hash
	// PSS signs with RSASSA-PSS where the key is RSA, instead of PKCS #1 v1.5.
	PSS bool
}

func (s *Signer) scheme() (signature.Scheme, error) {
	if s.Key == nil || s.Certificate == nil {
		return signature.Scheme{}, errors.New("cms: a signer needs a key and a certificate")
	}
	public, ok := s.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(s.Certificate.PublicKey) {
		return signature.Scheme{}, fmt.Errorf("cms: the key does not belong to the certificate of %s", s.Certificate.Subject)
	}
	scheme, err := signature.For(s.Key.Public(), &signature.Options{Hash: s.Digest, PSS: s.PSS})
	if err != nil {
		return scheme, classify(err)
	}
	return scheme, nil
}

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
	// Indefinite writes the content at once, with indefinite lengths.
	// Otherwise up to 1 MiB of it is held so that the message is DER, and only
	// beyond that it is written so.
	Indefinite bool
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
// an error, what dst has got is no message. Each signature carries the
// attributes contentType, messageDigest, encryptionKeyPreference (where the
// certificate may encrypt), signingCertificateV2 (RFC 5035) and
// cmsAlgorithmProtection (RFC 6211), and those of the options.
func Sign(dst io.Writer, signers []*Signer, o *SignOptions) (io.WriteCloser, error) {
	if len(signers) == 0 {
		return nil, errors.New("cms: nobody signs")
	}
	if o == nil {
		o = &SignOptions{}
	}
	w := &signedWriter{signers: signers, options: *o, digests: map[OID]hash.Hash{}}
	if w.options.ContentType == "" {
		w.options.ContentType = oid.Data
	}
	for i, s := range signers {
		scheme, err := s.scheme()
		if err != nil {
			return nil, fmt.Errorf("signer %d: %w", i+1, err)
		}
		w.schemes = append(w.schemes, scheme)
		h, ok := signature.NewHash(scheme.Digest)
		if !ok {
			return nil, fmt.Errorf("signer %d: %w: digest %s", i+1, ErrUnsupported, scheme.Digest.Algorithm.Name())
		}
		w.digests[scheme.Digest.Algorithm] = h
	}
	return w, w.begin(dst)
}

type signedWriter struct {
	signers []*Signer
	schemes []signature.Scheme
	options SignOptions
	digests map[OID]hash.Hash
	framing *framing
	closed  bool
}

// begin prepares what stands ahead of the content.
func (w *signedWriter) begin(dst io.Writer) (err error) {
	w.framing, err = encapsulating(dst, oid.SignedData, w.options.ContentType, func(b *cryptobyte.Builder) {
		// RFC 5652 §5.1: version 3 where the content is not data; no signer
		// here is named by key identifier.
		b.AddASN1Int64(map[bool]int64{true: 1, false: 3}[w.options.ContentType == oid.Data])
		b.AddASN1(asn1.SET, w.addDigestAlgorithms)
	})
	if err != nil || w.options.Detached {
		return err
	}
	return w.framing.begin(-1, 0, w.options.Indefinite)
}

func (w *signedWriter) addDigestAlgorithms(b *cryptobyte.Builder) {
	var elements [][]byte
	seen := map[OID]bool{}
	for _, s := range w.schemes {
		if der, err := s.Digest.DER(); err != nil {
			b.SetError(err)
		} else if !seen[s.Digest.Algorithm] {
			seen[s.Digest.Algorithm] = true
			elements = append(elements, der)
		}
	}
	for _, e := range sortedSet(elements) {
		b.AddBytes(e)
	}
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
	return w.framing.finish(tail)
}

// writeDetached writes the message without [0] eContent.
func (w *signedWriter) writeDetached(tail []byte) error {
	l := w.framing.layers
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(l[0].before)
		b.AddASN1(context0.Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(l[2].before)
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(l[3].before) })
				b.AddBytes(tail)
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return err
	}
	_, err = w.framing.dst.Write(der)
	return err
}

// tail is certificates and signerInfos.
func (w *signedWriter) tail() ([]byte, error) {
	infos := make([][]byte, len(w.signers))
	for i, s := range w.signers {
		info, err := w.signerInfo(s, w.schemes[i])
		if err != nil {
			return nil, fmt.Errorf("signer %d: %w", i+1, err)
		}
		infos[i] = info
	}
	var b cryptobyte.Builder
	b.AddASN1(context0.Constructed(), func(b *cryptobyte.Builder) {
		for _, c := range sortedSet(w.certificates()) {
			b.AddBytes(c)
		}
	})
	b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
		for _, i := range sortedSet(infos) {
			b.AddBytes(i)
		}
	})
	return b.Bytes()
}

// certificates are the signers' and their chains', each once, without roots.
func (w *signedWriter) certificates() [][]byte {
	var out [][]byte
	seen := map[string]bool{}
	for _, s := range w.signers {
		for i, c := range append([]*cert.Certificate{s.Certificate}, s.Chain...) {
			root := i > 0 && c.SelfIssued()
			if !seen[string(c.Raw)] && !root {
				seen[string(c.Raw)] = true
				out = append(out, c.Raw)
			}
		}
	}
	return out
}

func (w *signedWriter) signerInfo(s *Signer, scheme signature.Scheme) ([]byte, error) {
	attrs, err := w.attributes(s, scheme)
	if err != nil {
		return nil, err
	}
	set, err := attrs.der()
	if err != nil {
		return nil, err
	}
	sig, err := scheme.Sign(random(w.options.Rand), s.Key, set)
	if err != nil {
		return nil, fmt.Errorf("sign with the key of %s: %w", s.Certificate.Subject, err)
	}
	set[0] = byte(context0.Constructed()) // RFC 5652 §5.4: signed as SET OF, sent as [0]
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1) // RFC 5652 §5.3: issuerAndSerialNumber
		addIssuerAndSerial(b, asn1.SEQUENCE, s.Certificate)
		scheme.Digest.Add(b)
		b.AddBytes(set)
		scheme.Algorithm.Add(b)
		b.AddASN1OctetString(sig)
	})
	return b.Bytes()
}

// attributes are those that RFC 8551 §2.5 wants in a signature.
func (w *signedWriter) attributes(s *Signer, scheme signature.Scheme) (Attributes, error) {
	var attrs Attributes
	var failed error
	add := func(t OID, value []byte, err error) {
		attrs = append(attrs, Attribute{Type: t, Values: [][]byte{value}})
		failed = errors.Join(failed, err)
	}
	build := func(f func(*cryptobyte.Builder)) ([]byte, error) {
		var b cryptobyte.Builder
		f(&b)
		return b.Bytes()
	}
	v, err := build(func(b *cryptobyte.Builder) { oid.Add(b, w.options.ContentType) })
	add(oid.AttrContentType, v, err)
	v, err = build(func(b *cryptobyte.Builder) { b.AddASN1OctetString(w.digests[scheme.Digest.Algorithm].Sum(nil)) })
	add(oid.AttrMessageDigest, v, err)
	v, err = signingCertificateV2(s.Certificate)
	add(oid.AttrSigningCertificateV2, v, err)
	v, err = build(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // RFC 6211 §2
			scheme.Digest.Add(b)
			scheme.Algorithm.AddTagged(b, context1.Constructed())
		})
	})
	add(oid.AttrAlgorithmProtection, v, err)
	if !w.options.Time.IsZero() {
		v, err = timeDER(w.options.Time)
		add(oid.AttrSigningTime, v, err)
	}
	if w.options.Capabilities != nil {
		v, err = capabilitiesDER(w.options.Capabilities)
		add(oid.AttrSMIMECapabilities, v, err)
	}
	if s.Certificate.CanEncrypt() {
		v, err = encryptionKeyPreference(s.Certificate)
		add(oid.AttrEncryptionKeyPreference, v, err)
	}
	return attrs, failed
}

// Micalg returns the parameter micalg of multipart/signed for signatures by
// these signers: the digests' names of RFC 8551 §3.5.3.2, separated by commas.
func Micalg(signers []*Signer) (string, error) {
	var names []string
	seen := map[OID]bool{}
	for i, s := range signers {
		scheme, err := s.scheme()
		if err != nil {
			return "", fmt.Errorf("signer %d: %w", i+1, err)
		}
		if d := scheme.Digest.Algorithm; !seen[d] {
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
