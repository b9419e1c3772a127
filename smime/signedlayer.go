package smime

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/ahead"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/oid"
)

// multipartSigned opens a multipart/signed (RFC 8551 §3.5.3, RFC 1847 §2.1) and returns its first part.
func (op *opener) multipartSigned(e *entity.Entity, c classification) (*entity.Entity, error) {
	p, v, err := op.partsAndSignature(e, protocol(c.typ))
	if err != nil {
		op.addBroken(err)
		return nil, nil
	}
	op.warnAround(e, p.Multipart)
	sc := classify(p.signature)
	if sc.ambiguous != "" || !carriesSignature(sc, protocol(c.typ)) {
		if protocol(c.typ) == "" {
			return nil, nil // nothing says that it is S/MIME
		}
		err := fmt.Errorf("the second part is %q, not a signature", sc.typ.Type)
		if sc.ambiguous != "" {
			err = fmt.Errorf("the second part: %s", sc.ambiguous)
		}
		op.addBroken(err)
		return nil, nil
	}
	if v == nil {
		v = op.verifyDetached(p, sc.encoding, new(atomic.Bool))
	}
	op.warnings = append(op.warnings, v.warnings...)
	if v.err != nil {
		op.addBroken(v.err)
		return p.content, nil
	}
	op.addSigned(v.verified)
	if v.canonical {
		op.message.canonical = p.content
	}
	return p.content, nil
}

// signedParts are the two parts of a multipart/signed.
type signedParts struct {
	*entity.Multipart
	content, signature *entity.Entity
}

// findSignedParts takes what multipart finds.
func findSignedParts(e *entity.Entity, multipart func(*entity.Entity) (*entity.Multipart, error)) (p signedParts, err error) {
	if p.Multipart, err = multipart(e); err != nil {
		return p, err
	}
	if len(p.Parts) != 2 {
		return p, fmt.Errorf("multipart/signed has %d parts, not two", len(p.Parts))
	}
	if p.Reopened {
		return p, errors.New("multipart/signed goes on behind its end")
	}
	if p.content, err = e.Part(p.Parts[0]); err != nil {
		return p, fmt.Errorf("signed part: %w", err)
	}
	if p.signature, err = e.Part(p.Parts[1]); err != nil {
		return p, fmt.Errorf("signature part: %w", err)
	}
	return p, nil
}

// partsAndSignature finds the parts. Of a long message the signature is verified at the same time, over what lies between the
// delimiters at both ends. As soon as the search knows that there are others in between, that ends, and what is returned for it
// is nil.
func (op *opener) partsAndSignature(e *entity.Entity, protocol string) (p signedParts, v *detached, err error) {
	guess, found := signedParts{}, false
	if e.Body().Size() > ahead.Alone && runtime.GOMAXPROCS(0) > 1 {
		guess, err = findSignedParts(e, (*entity.Entity).MultipartAtEnds)
		found = err == nil
	}
	if !found {
		p, err = findSignedParts(e, (*entity.Entity).Multipart)
		return p, nil, err
	}
	var wrong atomic.Bool
	ahead.Parallel(2, func(i int) {
		if i == 0 {
			p, err = findSignedParts(e, (*entity.Entity).Multipart)
			wrong.Store(err != nil || !slices.Equal(guess.Parts, p.Parts))
			return
		}
		if c := classify(guess.signature); c.ambiguous == "" && carriesSignature(c, protocol) {
			v = op.verifyDetached(guess, c.encoding, &wrong)
		}
	})
	if wrong.Load() {
		v = nil
	}
	return p, v, err
}

// abandonable reads until nobody wants it any more.
type abandonable struct {
	io.Reader
	wrong *atomic.Bool
}

var errAbandoned = errors.New("abandoned")

func (a abandonable) Read(p []byte) (int, error) {
	if a.wrong.Load() {
		return 0, errAbandoned
	}
	return a.Reader.Read(p)
}

// warnAround warns of what a reader without MIME would see, or see differently, around the signed part.
func (op *opener) warnAround(e *entity.Entity, m *entity.Multipart) {
	if m.Epilogue.Len() > 0 {
		if blank, err := entity.IsBlank(e.Section(m.Epilogue)); err != nil || !blank {
			op.warn("there is text behind the signed part; it is not signed and not shown")
		}
	}
	if !m.Closed {
		op.warn("the end of the signed message is missing")
	}
	if m.Lookalikes > 0 {
		op.warn("the signed message has lines that look like a boundary between parts")
	}
}

// verified is a SignedData that was read to its end.
type verified struct {
	reader  *cms.SignedReader
	signers []cms.SignerResult
}

// detached is what verifying a detached signature had for result.
type detached struct {
	verified
	canonical bool // every line of the content ends in CRLF
	warnings  []string
	err       error
}

// verifyDetached checks the signature over the canonical form of the content, in which every line ends in CRLF. If that fails, some
// program may have signed bare LFs, as OpenSSL's -binary does. They are still in this file, or a relay has made CRLF of them.
// It changes nothing of op, and ends early, with any result, once wrong is set.
func (op *opener) verifyDetached(p signedParts, enc entity.Encoding, wrong *atomic.Bool) *detached {
	var d detached
	canonical := entity.NewCanonicalReader(p.content.Raw())
	d.verified, d.err = op.verifyOnce(abandonable{canonical, wrong}, p, enc)
	if d.err != nil || wrong.Load() {
		return &d
	}
	if !slices.ContainsFunc(d.signers, isWrong) {
		d.canonical = !canonical.Changed()
		d.verified, d.err = op.augment(d.verified, lineEnds(p.content)[0])
		return &d
	}
	other, lines := lineEnds(p.content)[1], "those of this file"
	if !canonical.Changed() {
		other, lines = lineEnds(p.content)[2], "bare LFs"
	}
	again, err := op.verifyOnce(abandonable{other(), wrong}, p, enc)
	if err == nil && !slices.ContainsFunc(again.signers, isWrong) {
		d.warnings = []string{"the signature covers the content with other line ends than those of mail: " + lines}
		d.verified, d.err = op.augment(again, other)
	}
	return &d
}

func isWrong(r cms.SignerResult) bool { return errors.Is(r.Err, cms.ErrSignature) }

// verifyOnce reads content, the signed part with some line ends.
func (op *opener) verifyOnce(content io.Reader, p signedParts, enc entity.Encoding) (verified, error) {
	r, err := cms.NewReader(cmsBody(p.signature, enc), op.o.Limits)
	if err != nil {
		return verified{}, err
	}
	// Content inside a detached signature is refused by cms: one program would show it, another the part beside it (CVE-2018-18509).
	s, err := r.SignedData(op.signedOptions(content))
	if err != nil {
		return verified{}, err
	}
	return op.readSigned(s, io.Discard)
}

func (op *opener) signedOptions(content io.Reader) *cms.SignedOptions {
	o := &cms.SignedOptions{Content: content, Certificates: op.o.Intermediates, WithoutAttributes: op.o.WithoutAttributes || op.o.Profile.orDefault().bare}
	if op.o.Known != nil {
		o.ParseCertificate = op.o.Known.Parse
	}
	return o
}

// readSigned reads a SignedData to its end. Signatures that are wrong are no error here; they are among the signers.
func (op *opener) readSigned(s *cms.SignedReader, dst io.Writer) (verified, error) {
	_, err := s.WriteTo(dst)
	if err != nil && s.Signers() == nil {
		return verified{}, err
	}
	if s.ContentType() != oid.Data && len(s.Signers()) > 0 {
		// RFC 8551 §2.4.2. A signature made for another purpose, over a timestamp for example, is none over mail.
		return verified{}, fmt.Errorf("the signature covers %s, not mail", s.ContentType().Name())
	}
	return verified{s, s.Signers()}, nil
}

// opaque opens a SignedData that carries its content (RFC 8551 §3.5.2).
func (op *opener) opaque(r *cms.Reader) (*entity.Entity, error) {
	s, err := r.SignedData(op.signedOptions(nil))
	if err != nil {
		op.addBroken(err)
		return nil, nil
	}
	if s.ContentType() == oid.Receipt {
		return nil, fmt.Errorf("%w: this is a signed receipt, which is judged together with the message that it is for", ErrUnsupported)
	}
	spool, err := op.spool()
	if err != nil {
		return nil, err
	}
	v, err := op.readSigned(s, spool)
	if op.spoolErr != nil {
		return nil, op.spoolErr
	}
	if err != nil {
		op.addBroken(err)
		return nil, nil
	}
	if !s.Detached() {
		v, err = op.augment(v, func() io.Reader { return io.NewSectionReader(spool, 0, spool.size) })
		if err != nil {
			op.addBroken(err)
			return nil, nil
		}
	}
	op.addSigned(v)
	if s.Detached() {
		// RFC 8551 §3.8: certificates only. Nothing is signed and nothing is inside.
		op.warn("the message carries certificates and nothing that is signed")
		return nil, nil
	}
	inner, err := spool.entity()
	if err != nil {
		return nil, op.malformed(err)
	}
	return inner, nil
}

// addSigned judges the signers of a layer.
func (op *opener) addSigned(v verified) {
	l := openedLayer{Layer: Layer{Type: LayerSigned}, verified: v}
	var algorithms []string
	for _, r := range v.signers {
		s, learned := op.judge.signer(r, v.reader)
		l.signers = append(l.signers, s)
		l.learned = append(l.learned, learned)
		if !slices.Contains(algorithms, s.Algorithm) {
			algorithms = append(algorithms, s.Algorithm)
		}
	}
	if len(v.signers) == 0 && !v.reader.Detached() {
		op.warn("a layer has the form of a signature and nobody signed it")
	}
	l.Algorithm = strings.Join(algorithms, ", ")
	op.layers = append(op.layers, l)
}

// addBroken records a layer that pretends to be signed and is not well-formed.
func (op *opener) addBroken(err error) {
	op.layers = append(op.layers, openedLayer{
		Layer:   Layer{Type: LayerSigned},
		signers: []Signer{{Status: StatusInvalid, Reason: "the signature is malformed: " + words(err), Emails: []string{}}},
		broken:  true,
	})
}
