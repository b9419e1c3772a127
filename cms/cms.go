// Package cms reads and writes the Cryptographic Message Syntax (RFC 5652) as
// streams: messages of any size, in constant memory.
//
// # Writing
//
// [Sign] and [Encrypt] return an io.WriteCloser for the content; Close
// finishes the message. Sign covers SignedData, with the content inside or
// detached; Encrypt covers EnvelopedData and, for an authenticating cipher,
// AuthEnvelopedData (RFC 5083, RFC 5084). [Compress], [Digest], [Authenticate],
// [EncryptWithKey] and [CertsOnly] make the other types. [Amend] adds
// countersignatures ([Countersign]) and timestamps ([TimestampRequest],
// RFC 3161) to a finished signature without touching what was signed.
//
// # Reading
//
// [NewReader] reads what kind of message it is. [Reader.SignedData] and
// [Reader.EnvelopedData] return readers of the content. What they give before
// their end has been seen is unverified: a changed byte is known only at the
// end, where the last Read fails instead of returning io.EOF. So content is
// spooled, never acted upon, until then.
//
// # What a message proves
//
// The package states facts, one [SignerResult] for each signer: this key
// signed exactly this content and these attributes. Whether the key belongs
// to whom the message says, was valid and may be trusted is decided by package
// certpath, and what a person is told of it by package smime.
//
// Input is BER, output DER, except for content that is too long to be held,
// has no [Spool] and whose length is not known beforehand, which is written with
// indefinite lengths.
package cms

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// OID is an object identifier in dotted decimal.
type OID = oid.OID

// AlgorithmIdentifier is RFC 5280 §4.1.1.2, its parameters as DER.
type AlgorithmIdentifier = oid.AlgorithmIdentifier

var (
	// ErrSignature: a signature, a digest or an attribute that must agree does
	// not. The content or the attributes are not what was signed.
	ErrSignature = errors.New("cms: signature does not fit the content")
	// ErrNoCertificate: the signer's certificate is neither in the message nor
	// among those given.
	ErrNoCertificate = errors.New("cms: signer's certificate not found")
	// ErrUnsupported: an algorithm or a variant that this package does not know.
	ErrUnsupported = errors.New("cms: not supported")
	// ErrNoRecipient: none of the keys given is one of a recipient's.
	ErrNoRecipient = errors.New("cms: no key here is for a recipient of this message")
	// ErrDecrypt: the content did not decrypt. It is one error for every cause,
	// since what a cause tells helps an attacker (RFC 3218).
	ErrDecrypt = errors.New("cms: content could not be decrypted")
	// ErrMalformed: the message is not well-formed.
	ErrMalformed = errors.New("cms: malformed message")
	// ErrNoContent: the signature or digest is detached, and its content was
	// not given. It wraps ErrMalformed.
	ErrNoContent = fmt.Errorf("%w: detached from its content, which is not here", ErrMalformed)
)

// Limits bound what a message may make its reader do. The zero value of a
// field stands for the default.
type Limits struct {
	Signers      int // SignerInfos
	Recipients   int // RecipientInfos
	Certificates int
	Metadata     int // octets of all that is not content
}

// Defaults of Limits. The largest in use are mailing lists' messages, with
// thousands of recipients of some 600 octets each.
const (
	MaxSigners      = 64
	MaxRecipients   = 20_000
	MaxCertificates = 1_000
	MaxMetadata     = 64 << 20
	maxDigests      = 16      // digest algorithms of one message
	maxSmall        = 1 << 10 // versions, identifiers and other short elements
	maxAlgorithm    = 64 << 10
)

func (l *Limits) withDefaults() Limits {
	out := Limits{MaxSigners, MaxRecipients, MaxCertificates, MaxMetadata}
	if l == nil {
		return out
	}
	for _, f := range []struct {
		given int
		out   *int
	}{{l.Signers, &out.Signers}, {l.Recipients, &out.Recipients}, {l.Certificates, &out.Certificates}, {l.Metadata, &out.Metadata}} {
		if f.given > 0 {
			*f.out = f.given
		}
	}
	return out
}

// Reader is a message of which the outermost type is known.
type Reader struct {
	ber         *ber.Reader
	limits      Limits
	metadata    int // octets of it so far
	contentType OID
	bare        bool // no ContentInfo around the type's own SEQUENCE
}

// NewReader reads the head of a ContentInfo (RFC 5652 §3) in BER. The error
// wraps ErrMalformed, or is src's own.
func NewReader(src io.Reader, l *Limits) (*Reader, error) {
	r := &Reader{ber: ber.NewReader(src), limits: l.withDefaults()}
	if err := r.enter("ContentInfo"); err != nil {
		return nil, err
	}
	var err error
	if r.contentType, err = r.readOID("contentType"); err != nil {
		return nil, err
	}
	return r, r.enterTagged("content", 0)
}

// NewContentReader reads the content of another message, of a type of its own:
// the octets are then that type's SEQUENCE with no ContentInfo around it
// (RFC 5652 §5.2, RFC 3274 §1.1).
func NewContentReader(src io.Reader, contentType OID, l *Limits) *Reader {
	return &Reader{ber: ber.NewReader(src), limits: l.withDefaults(), contentType: contentType, bare: true}
}

// ContentType returns the type of the message: oid.SignedData and so on.
func (r *Reader) ContentType() OID { return r.contentType }

// malformed wraps an error of the BER layer or names a broken rule, with the
// place in the structure.
func malformed(place string, err error) error {
	var syntax *ber.SyntaxError
	switch {
	case err == nil:
		return fmt.Errorf("%w: %s", ErrMalformed, place)
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("%w: %s: %w", ErrMalformed, place, err)
	case errors.Is(err, ErrMalformed), errors.Is(err, ErrUnsupported):
		return err
	}
	return fmt.Errorf("read %s: %w", place, err)
}

func (r *Reader) enter(place string) error {
	h, err := r.ber.Peek()
	if err == nil && !h.Is(ber.Universal, ber.TagSequence) {
		return malformed(fmt.Sprintf("%s is %s, not a SEQUENCE", place, h), nil)
	}
	if err == nil {
		_, err = r.ber.Enter()
	}
	if err != nil {
		return malformed(place, err)
	}
	return nil
}

func (r *Reader) enterTagged(place string, tag int) error {
	h, err := r.ber.Peek()
	if err == nil && !h.Is(ber.ContextSpecific, tag) {
		return malformed(fmt.Sprintf("%s is %s, not [%d]", place, h, tag), nil)
	}
	if err == nil {
		_, err = r.ber.Enter()
	}
	if err != nil {
		return malformed(place, err)
	}
	return nil
}

func (r *Reader) leave(place string) error {
	if err := r.ber.Leave(); err != nil {
		return malformed("end of "+place, err)
	}
	return nil
}

// element consumes one element in DER form, of at most max octets, and counts
// it against the limit of metadata.
func (r *Reader) element(place string, max int) ([]byte, error) {
	e, err := r.ber.Element(min(max, r.limits.Metadata-r.metadata))
	if err != nil {
		return nil, malformed(place, err)
	}
	r.metadata += len(e)
	return e, nil
}

func (r *Reader) readOID(place string) (OID, error) {
	e, err := r.element(place, maxSmall)
	if err != nil {
		return "", err
	}
	s := cryptobyte.String(e)
	var o OID
	if !oid.Read(&s, &o) {
		return "", malformed(place+" is not an object identifier", nil)
	}
	return o, nil
}

func (r *Reader) readAlgorithm(place string) (AlgorithmIdentifier, error) {
	var a AlgorithmIdentifier
	e, err := r.element(place, maxAlgorithm)
	if err != nil {
		return a, err
	}
	s := cryptobyte.String(e)
	if !oid.ReadAlgorithm(&s, &a) {
		return a, malformed(place+" is not an AlgorithmIdentifier", nil)
	}
	return a, nil
}

// readVersion consumes a CMSVersion. Its value says which alternatives follow,
// and these say so themselves: senders get it wrong, and nothing hangs on it.
func (r *Reader) readVersion(place string) error {
	e, err := r.element(place, maxSmall)
	if err != nil {
		return err
	}
	s := cryptobyte.String(e)
	var v int64
	if !s.ReadASN1Integer(&v) {
		return malformed(place+" is not an INTEGER", nil)
	}
	return nil
}

// next reports whether the next element of the container has the given
// context-specific tag.
func (r *Reader) next(place string, tag int) (bool, error) {
	h, err := r.ber.Peek()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, malformed(place, err)
	}
	return h.Is(ber.ContextSpecific, tag), nil
}

// elements consumes a SET OF or SEQUENCE OF, which must have the class and
// number given, element by element in DER form.
func (r *Reader) elements(place string, class ber.Class, tag, count int, each func(der []byte) error) error {
	return r.rawElements(place, class, tag, count, func(raw []byte) error {
		der, err := ber.DER(raw)
		if err != nil {
			return malformed(place, err)
		}
		return each(der)
	})
}

// rawElements is elements with their octets as they stand.
func (r *Reader) rawElements(place string, class ber.Class, tag, count int, each func(raw []byte) error) error {
	h, err := r.ber.Peek()
	if err == nil && !h.Is(class, tag) {
		return malformed(fmt.Sprintf("%s is %s", place, h), nil)
	}
	if err == nil {
		_, err = r.ber.Enter()
	}
	if err != nil {
		return malformed(place, err)
	}
	for n := 0; ; n++ {
		if _, err := r.ber.Peek(); errors.Is(err, io.EOF) {
			return r.leave(place)
		}
		if n == count {
			return malformed(fmt.Sprintf("%s has more than %d elements", place, count), nil)
		}
		raw, err := r.ber.Raw(r.limits.Metadata - r.metadata)
		if err != nil {
			return malformed(fmt.Sprintf("%s, element %d", place, n+1), err)
		}
		r.metadata += len(raw)
		if err := each(raw); err != nil {
			return err
		}
	}
}

// end leaves the type's own SEQUENCE, content [0] and ContentInfo.
func (r *Reader) end(place string) error {
	if err := r.leave(place); err != nil {
		return err
	}
	if !r.bare {
		for _, p := range []string{"content", "ContentInfo"} {
			if err := r.leave(p); err != nil {
				return err
			}
		}
	}
	if err := r.ber.End(); err != nil {
		return malformed("end of the message", err)
	}
	return nil
}

// wants says that the message is of another type than the caller reads.
func (r *Reader) wants(t OID) error {
	if r.contentType == t {
		return nil
	}
	return malformed(r.contentType.Name()+" where "+t.Name()+" is wanted", nil)
}

// openContent reads EncapsulatedContentInfo up to the octets of its content;
// nil where there is none.
func (r *Reader) openContent() (contentType OID, content *ber.OctetReader, err error) {
	if err := r.enter("encapContentInfo"); err != nil {
		return "", nil, err
	}
	if contentType, err = r.readOID("eContentType"); err != nil {
		return "", nil, err
	}
	present, err := r.next("eContent", 0)
	if err != nil {
		return "", nil, err
	}
	if !present {
		return contentType, nil, r.leave("encapContentInfo")
	}
	if err := r.enterTagged("eContent", 0); err != nil {
		return "", nil, err
	}
	// PKCS #7 had content of any type here, and where it is not an octet
	// string its content octets are what is hashed (RFC 2315 §9.3); such
	// messages are not mail and not read.
	h, err := r.ber.Peek()
	if err != nil {
		return "", nil, malformed("eContent", err)
	}
	if !h.Is(ber.Universal, ber.TagOctetString) {
		return "", nil, fmt.Errorf("%w: eContent is %s, not an OCTET STRING", ErrUnsupported, h)
	}
	if content, err = r.ber.Octets(); err != nil {
		return "", nil, malformed("eContent", err)
	}
	return contentType, content, nil
}

// leaveContent steps out of EncapsulatedContentInfo once its content is read.
func (r *Reader) leaveContent() error {
	if err := r.leave("eContent"); err != nil {
		return err
	}
	return r.leave("encapContentInfo")
}
