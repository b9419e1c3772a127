package smime

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/revocation"
)

// MaxLayers is how many layers are taken off one message. A triple-wrapped message (RFC 2634 §1.1) has three.
const MaxLayers = 8

// OpenOptions are everything that the verdict depends on beside the message.
type OpenOptions struct {
	// Keys are those that may decrypt.
	Keys []*cms.RecipientKey
	// Anchors are the roots that are trusted; Intermediates are certificates that may help to lead there.
	Anchors, Intermediates []*cert.Certificate
	// TimestampAnchors are further roots that are trusted for timestamps and for nothing else.
	TimestampAnchors []*cert.Certificate
	// Store has further anchors for signers and those to whom is encrypted, not for timestamps.
	Store certpath.AnchorStore
	// Known, if not nil, remembers signatures on certificates from message to message; see [certpath.Known].
	Known *certpath.Known
	// CRLs are revocation lists, beside those in the message. With any, a signer of whom none of them tells anything is
	// revocation-unknown; with none, and nothing fetched, a warning says that revocation was not checked.
	CRLs []*cert.CRL
	// Revocation, if not nil, is asked to fetch what certificates name as their sources of revocation information: of those alone
	// whose path ends at an anchor. A source that is asked and does not answer makes a signer revocation-unknown.
	Revocation revocation.Fetcher
	// Issuers, if not nil, is asked for certificates of authorities that are missing; see [certpath.Options].
	Issuers func(leaf *cert.Certificate, known []*cert.Certificate) []*cert.Certificate
	// At is the time for which the certificates are judged. It must be set.
	At time.Time
	// Now, if At is a time in the past, is the present: revocation information may be younger than At, and not than Now. The zero
	// value stands for At.
	Now time.Time
	// From, if not "", is the address that the message must be from. It stands in for a From header that is missing.
	From string
	// Profile says which old algorithms are read; nil is compat, which reads all of them and warns.
	Profile *Profile
	// DecodeHeader turns the value of a header field, with its encoded words (RFC 2047), into text; nil knows UTF-8, ASCII and
	// ISO-8859-1 only. What it returns is shown and compared, and nothing else depends on it.
	DecodeHeader func(value string) string
	// Augmented, if not nil, is the outermost signature of the message once more, a detached SignedData, with timestamps, certificates
	// and revocation information beside it that came later. It is judged in place of the message's own, and must be the same.
	Augmented []byte
	// WithoutAttributes takes signatures without signed attributes, which some old programs made; see cms.SignedOptions.
	WithoutAttributes bool
	// Spool makes a place for the content of one layer; nil keeps it in memory, up to MaxMemory.
	Spool func() (Spool, error)
	// Limits of the CMS layers; nil is cms's own.
	Limits *cms.Limits
}

// Open takes all layers off the message of the first size bytes of src and judges it. It may read src, and a spool, in two
// places at a time.
//
// The error is nil as soon as the message could be judged, whatever the verdict: a plain mail is [Unsigned], an altered one
// [Invalid]. It is [ErrNoKey], [ErrDecrypt], [ErrUnsupported] or a [MalformedError] when a layer stays closed; the Message that
// comes with it has a verdict and no content. The Message is nil only with an error about the source, the spool, the options, or
// a header that cannot be read at all. Close the Message when done with it.
func Open(src io.ReaderAt, size int64, o *OpenOptions) (*Message, error) {
	if o == nil || o.At.IsZero() {
		return nil, errors.New("smime: OpenOptions.At is not set: a verdict holds for a time")
	}
	source := &trackedSource{ReaderAt: src}
	e, err := entity.Read(source, size)
	if err != nil {
		return nil, &MalformedError{"message header", err}
	}
	op := &opener{o: o, size: size, message: &Message{outer: e.Header}, judge: judge{o: o, sender: bindSender(e.Header, o.From, o.DecodeHeader)}}
	if len(e.Header.Fields) == 0 {
		op.warn("this is no mail: it does not begin with a header")
	}
	err = op.descend(e)
	if failed := errors.Join(source.fault(), op.spoolErr); failed != nil {
		op.message.Close()
		return nil, failed
	}
	op.conclude()
	return op.message, err
}

// trackedSource tells a fault of the file from a fault of the message.
type trackedSource struct {
	io.ReaderAt
	failed atomic.Pointer[error] // the first
}

func (s *trackedSource) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.ReaderAt.ReadAt(p, off)
	if err != nil && err != io.EOF {
		fault := err // so that only a fault takes memory
		s.failed.CompareAndSwap(nil, &fault)
	}
	return n, err
}

func (s *trackedSource) fault() error {
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("smime: read the message: %w", *err)
	}
	return nil
}

// opener is one message on its way from the outermost layer to the innermost.
type opener struct {
	o        *OpenOptions
	size     int64 // of the message
	message  *Message
	judge    judge
	spoolErr error

	layers   []openedLayer
	closed   bool
	warnings []string
}

// openedLayer is a layer with what was found about it.
type openedLayer struct {
	Layer
	signers       []Signer
	verified      verified // of a signed layer
	learned       []LearnedSigner
	broken        bool
	authenticated bool // encrypted, and safe against changes by itself
}

func (op *opener) warn(format string, args ...any) {
	op.warnings = append(op.warnings, fmt.Sprintf(format, args...))
}

// descend takes layers off until what is left is content.
func (op *opener) descend(e *entity.Entity) error {
	for depth := 0; ; depth++ {
		if depth > MaxLayers {
			op.closed = true
			return op.malformed(fmt.Errorf("more than %d layers", MaxLayers))
		}
		next, err := op.takeOff(e, depth)
		if depth > 0 && (next != nil || err != nil) {
			// Of the content, judgeHeader says more.
			op.warnInnerHeader(e.Header)
		}
		if err != nil {
			op.closed = true
			return err
		}
		if next == nil {
			op.message.content = e
			return nil
		}
		e = next
	}
}

// takeOff opens the layer that e carries and returns what is inside, or nil if e is content.
func (op *opener) takeOff(e *entity.Entity, depth int) (*entity.Entity, error) {
	c := classify(e)
	if depth > 0 && c.form != formPlain && len(e.Header.Defects) > 0 {
		// In the message's own header a defect already costs the sender the verdict; see bindSender.
		c = classification{ambiguous: e.Header.Defects[0].String()}
	}
	if c.ambiguous != "" {
		op.warn("not read as S/MIME: %s", c.ambiguous)
	}
	switch c.form {
	case formMultipartSigned:
		return op.multipartSigned(e, c)
	case formPKCS7, formNamed:
		return op.pkcs7(e, c)
	}
	if depth > 0 && isBareCMS(e) {
		return op.pkcs7(e, classification{form: formNamed, encoding: entity.Binary})
	}
	return nil, nil
}

// malformed is an error about the layer that is being opened.
func (op *opener) malformed(err error) error {
	return &MalformedError{fmt.Sprintf("layer %d", len(op.layers)+1), err}
}

// spool gives a place for the next layer's content.
func (op *opener) spool() (*trackedSpool, error) {
	if op.o.Spool == nil {
		return op.keep(&memory{}), nil
	}
	s, err := op.o.Spool()
	if err != nil {
		op.spoolErr = fmt.Errorf("smime: make a spool: %w", err)
		return nil, op.spoolErr
	}
	return op.keep(s), nil
}

func (op *opener) keep(s Spool) *trackedSpool {
	op.message.spools = append(op.message.spools, s)
	return &trackedSpool{Spool: s, op: op}
}

// trackedSpool tells a full disk from a broken message.
type trackedSpool struct {
	Spool
	op   *opener
	size int64
}

func (s *trackedSpool) Write(p []byte) (int, error) {
	n, err := s.Spool.Write(p)
	s.size += int64(n)
	if err != nil && s.op.spoolErr == nil {
		s.op.spoolErr = fmt.Errorf("smime: spool content: %w", err)
	}
	return n, err
}

// entity reads what was spooled.
func (s *trackedSpool) entity() (*entity.Entity, error) { return entity.Read(s.Spool, s.size) }

// warnInnerHeader warns of header fields inside that pretend to be the message's (CVE-2026-27443, CVE-2026-29143: a gateway made
// them so).
func (op *opener) warnInnerHeader(inner entity.Header) {
	for _, name := range []string{"From", "Sender", "Subject", "To", "Cc", "Date", "Reply-To"} {
		fields := inner.All(name)
		if len(fields) == 0 {
			continue
		}
		outer, err := op.message.outer.Only(name)
		if err != nil || len(fields) > 1 || fields[0].Value() != outer {
			op.warn("the protected part has a %s of its own that differs from the message's; it is not shown", name)
		}
	}
}
