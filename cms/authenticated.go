package cms

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// ErrAuthentication: the content of an AuthenticatedData is not the one that
// its message authentication code was made for, or the key is another.
var ErrAuthentication = errors.New("cms: authentication code does not fit the content")

// AuthenticateOptions choose the form of an AuthenticatedData.
type AuthenticateOptions struct {
	// ContentType is that of the content; empty stands for data.
	ContentType OID
	// Indefinite writes indefinite lengths from the start.
	Indefinite bool
	// Spool makes the place where content beyond 1 MiB waits until its length
	// is known, so that the message is DER; nil writes indefinite lengths then.
	Spool func() (Spool, error)
	// Rand is the source of randomness; nil stands for crypto/rand.
	Rand io.Reader
}

// Authenticate returns a writer for the content of an AuthenticatedData
// (RFC 5652 §9): in the clear, with an HMAC-SHA-256 whose key only the
// recipients can open. Any of them could have made it. Close finishes it.
func Authenticate(dst io.Writer, recipients []*Recipient, o *AuthenticateOptions) (io.WriteCloser, error) {
	if len(recipients) == 0 {
		return nil, errors.New("cms: authentication for nobody")
	}
	if o == nil {
		o = &AuthenticateOptions{}
	}
	contentType := o.ContentType
	if contentType == "" {
		contentType = oid.Data
	}
	source := random(o.Rand)
	key := make([]byte, crypto.SHA256.Size())
	if _, err := io.ReadFull(source, key); err != nil {
		return nil, err
	}
	infos, err := sealKey(source, key, recipients)
	if err != nil {
		return nil, err
	}
	digest, _ := signature.DigestAlgorithm(crypto.SHA256)
	f, err := encapsulating(dst, oid.AuthenticatedData, contentType, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		addRecipients(b, infos)
		AlgorithmIdentifier{Algorithm: oid.HMACSHA256}.Add(b) // RFC 4231 §3.1: parameters absent
		digest.AddTagged(b, context1.Constructed())
	})
	if err != nil {
		return nil, err
	}
	f.spool = o.Spool
	w := &authenticatedWriter{hashedWriter{framing: f, hash: crypto.SHA256.New()}, key, contentType}
	return w, f.begin(-1, 0, o.Indefinite)
}

type authenticatedWriter struct {
	hashedWriter
	key         []byte
	contentType OID
}

func (w *authenticatedWriter) Close() error {
	if err := w.end(); err != nil {
		return err
	}
	defer clear(w.key)
	var contentType, digest cryptobyte.Builder
	oid.Add(&contentType, w.contentType)
	digest.AddASN1OctetString(w.hash.Sum(nil))
	t, terr := contentType.Bytes()
	d, derr := digest.Bytes()
	set, err := Attributes{
		{Type: oid.AttrContentType, Values: [][]byte{t}},
		{Type: oid.AttrMessageDigest, Values: [][]byte{d}},
	}.der()
	if err = errors.Join(terr, derr, err); err != nil {
		return err
	}
	mac := hmac.New(crypto.SHA256.New, w.key)
	mac.Write(set)
	tail := append([]byte{byte(context2.Constructed())}, set[1:]...)
	tail = ber.AppendHeader(tail, ber.Universal, false, ber.TagOctetString, int64(mac.Size()))
	return w.framing.finish(mac.Sum(tail))
}

// AuthenticatedReader reads the content of an AuthenticatedData. The last Read
// returns ErrAuthentication instead of io.EOF when the code is another.
type AuthenticatedReader struct {
	r           *Reader
	recipients  []RecipientInfo
	contentType OID
	mac         hash.Hash
	digests     []hash.Hash // zero or one
	content     io.Reader
	err         error
}

// AuthenticatedData continues with the body of a message of type
// oid.AuthenticatedData, and checks it with the first of its recipients' keys
// that is among keys; see [Reader.EnvelopedData].
func (r *Reader) AuthenticatedData(keys []*RecipientKey) (*AuthenticatedReader, error) {
	if err := r.wants(oid.AuthenticatedData); err != nil {
		return nil, err
	}
	e := &EnvelopedReader{r: r}
	if err := e.readHead(); err != nil {
		return nil, err
	}
	a := &AuthenticatedReader{r: r, recipients: e.recipients}
	size, newHash, err := a.readAlgorithms()
	if err != nil {
		return nil, err
	}
	contentType, octets, err := r.openContent()
	if err != nil {
		return nil, err
	}
	if octets == nil {
		return nil, malformed("AuthenticatedData without content", nil)
	}
	a.contentType, a.content = contentType, encapsulated{r, octets}
	for i := range a.recipients {
		if k := a.recipients[i].keyAmong(keys); k != nil {
			key, err := k.open(rand.Reader, &a.recipients[i], size)
			if err != nil {
				return nil, err
			}
			a.mac = hmac.New(newHash, key)
			clear(key)
			return a, nil
		}
	}
	a.err = ErrNoRecipient
	return a, a.err
}

// readAlgorithms reads macAlgorithm and digestAlgorithm. The size of the key is
// that of the HMAC's digest, as RFC 3370 §3.1 and those after it write it.
func (a *AuthenticatedReader) readAlgorithms() (size int, newHash func() hash.Hash, err error) {
	algorithm, err := a.r.readAlgorithm("macAlgorithm")
	if err != nil {
		return 0, nil, err
	}
	h, ok := prfHash(algorithm.Algorithm)
	if !ok || !algorithm.NoParameters() {
		return 0, nil, fmt.Errorf("%w: authentication code %s", ErrUnsupported, algorithm.Algorithm.Name())
	}
	present, err := a.r.next("digestAlgorithm", 1)
	if err != nil || !present {
		return h.Size(), h.New, err
	}
	der, err := a.r.element("digestAlgorithm", maxAlgorithm)
	if err != nil {
		return 0, nil, err
	}
	in := cryptobyte.String(der)
	var digest AlgorithmIdentifier
	if !oid.ReadTaggedAlgorithm(&in, &digest, context1.Constructed()) {
		return 0, nil, malformed("digestAlgorithm", nil)
	}
	d, ok := signature.NewHash(digest)
	if !ok {
		return 0, nil, fmt.Errorf("%w: digest %s", ErrUnsupported, digest.Algorithm.Name())
	}
	a.digests = append(a.digests, d)
	return h.Size(), h.New, nil
}

// Recipients returns for whom the message is.
func (a *AuthenticatedReader) Recipients() []RecipientInfo { return a.recipients }

// ContentType returns the type of the content: oid.Data for mail.
func (a *AuthenticatedReader) ContentType() OID { return a.contentType }

// Read implements io.Reader.
func (a *AuthenticatedReader) Read(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.content.Read(p)
	if len(a.digests) == 0 {
		a.mac.Write(p[:n])
	}
	for _, d := range a.digests {
		d.Write(p[:n])
	}
	if errors.Is(err, io.EOF) {
		err = a.finish()
	}
	if a.err = err; n > 0 {
		return n, nil
	}
	return 0, err
}

// finish reads attributes and code. With a digestAlgorithm the code covers the
// attributes, which hold the digest, and without it the content: there is no
// way between (RFC 5652 §9.1, §9.2).
func (a *AuthenticatedReader) finish() error {
	present, err := a.r.next("authAttrs", 2)
	if err != nil {
		return err
	}
	if present != (len(a.digests) > 0) || !present && a.contentType != oid.Data {
		return malformed("digestAlgorithm and authAttrs do not go together", nil)
	}
	if present {
		if err := a.readAttributes(); err != nil {
			return err
		}
	}
	der, err := a.r.element("mac", maxSmall)
	if err != nil {
		return err
	}
	in := cryptobyte.String(der)
	var mac cryptobyte.String
	if !in.ReadASN1(&mac, asn1.OCTET_STRING) {
		return malformed("mac is not an OCTET STRING", nil)
	}
	if present, err := a.r.next("unauthAttrs", 3); err != nil {
		return err
	} else if present {
		if _, err := a.r.element("unauthAttrs", a.r.limits.Metadata); err != nil {
			return err
		}
	}
	if err := a.r.end("AuthenticatedData"); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(mac, a.mac.Sum(nil)) != 1 {
		return ErrAuthentication
	}
	return io.EOF
}

func (a *AuthenticatedReader) readAttributes() error {
	der, err := a.r.element("authAttrs", a.r.limits.Metadata)
	if err != nil {
		return err
	}
	set, err := sortedAttributes(append([]byte{byte(asn1.SET)}, der[1:]...))
	if err != nil {
		return err
	}
	in := cryptobyte.String(set)
	var content cryptobyte.String
	in.ReadASN1(&content, asn1.SET)
	attrs, ok := parseAttributes(content)
	if !ok {
		return malformed("authAttrs", nil)
	}
	contentType, _, err := attrs.single(oid.AttrContentType)
	if t := cryptobyte.String(contentType); err != nil || !readEqualOID(&t, a.contentType) {
		return malformed("authAttrs: contentType", err)
	}
	value, _, err := attrs.single(oid.AttrMessageDigest)
	v := cryptobyte.String(value)
	var digest cryptobyte.String
	if err != nil || !v.ReadASN1(&digest, asn1.OCTET_STRING) || !v.Empty() {
		return malformed("authAttrs: messageDigest", err)
	}
	a.mac.Write(set)
	if subtle.ConstantTimeCompare(digest, a.digests[0].Sum(nil)) != 1 {
		return ErrAuthentication
	}
	return nil
}
