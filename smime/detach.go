package smime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/oid"
)

// ErrNotSigned: the outermost layer of a message is no signature.
var ErrNotSigned = errors.New("smime: the message is not signed")

// Detach takes the outermost signature off the mail of the first size bytes of src: content gets what was signed, octet for octet,
// and signature a SignedData in which it is not. The signature is checked, since only so it is known with which line ends the content
// was signed. A mail whose outermost layer is encrypted or plain is [ErrNotSigned]. spool makes a place for a layer that has to be
// read twice; nil keeps it in memory, up to MaxMemory.
func Detach(content, signature io.Writer, src io.ReaderAt, size int64, spool func() (Spool, error)) error {
	e, err := entity.Read(src, size)
	if err != nil {
		return &MalformedError{"message header", err}
	}
	c := classify(e)
	switch {
	case c.ambiguous != "":
		return fmt.Errorf("%w: %s", ErrNotSigned, c.ambiguous)
	case c.form == formMultipartSigned:
		return detachMultipart(content, signature, e)
	case c.form != formPKCS7 && c.form != formNamed:
		return ErrNotSigned
	}
	s, err := newSpool(spool)
	if err != nil {
		return err
	}
	defer s.Close()
	n, err := io.Copy(s, cmsBody(e, c.encoding))
	if err != nil {
		return &MalformedError{"layer 1", err}
	}
	return DetachCMS(content, signature, s, n, nil)
}

func newSpool(make func() (Spool, error)) (Spool, error) {
	if make == nil {
		return &memory{}, nil
	}
	return make()
}

// DetachCMS is Detach for a SignedData that is no mail. beside is its content where it is detached already, and nil otherwise.
func DetachCMS(content, signature io.Writer, src io.ReaderAt, size int64, beside io.Reader) error {
	r, err := cms.NewReader(io.NewSectionReader(src, 0, size), nil)
	if err != nil {
		return err
	}
	if r.ContentType() != oid.SignedData {
		return fmt.Errorf("%w: it is %s", ErrNotSigned, r.ContentType().Name())
	}
	s, err := r.SignedData(&cms.SignedOptions{Content: beside})
	if err != nil {
		return err
	}
	if _, err := io.Copy(content, s); err != nil {
		return err
	}
	if len(s.Signers()) == 0 {
		return ErrNotSigned
	}
	return cms.Amend(signature, src, size, &cms.Amendment{Detach: true})
}

// detachMultipart is Detach for multipart/signed.
func detachMultipart(content, signature io.Writer, e *entity.Entity) error {
	p, err := findSignedParts(e, (*entity.Entity).Multipart)
	if err != nil {
		return &MalformedError{"layer 1", err}
	}
	c := classify(p.signature)
	if c.ambiguous != "" || !isSignatureType(c.typ.Type) && c.form != formNamed {
		return fmt.Errorf("%w: its second part is %q", ErrNotSigned, c.typ.Type)
	}
	der, err := io.ReadAll(io.LimitReader(cmsBody(p.signature, c.encoding), cms.MaxMetadata+1))
	if err != nil {
		return &MalformedError{"layer 1: signature", err}
	}
	var first error
	for _, open := range lineEnds(p.content) {
		err := DetachCMS(io.Discard, io.Discard, bytes.NewReader(der), int64(len(der)), open())
		if err == nil {
			return DetachCMS(content, signature, bytes.NewReader(der), int64(len(der)), open())
		}
		if first == nil {
			first = err
		}
		if !errors.Is(err, cms.ErrSignature) {
			break
		}
	}
	return first
}

// lineEnds are the forms in which content may have been signed, that of mail first; see verifyDetached.
func lineEnds(content *entity.Entity) []func() io.Reader {
	return []func() io.Reader{
		func() io.Reader { return entity.NewCanonicalReader(content.Raw()) },
		func() io.Reader { return content.Raw() },
		func() io.Reader { return entity.NewBareReader(content.Raw()) },
	}
}

// augment replaces the outermost signature of the mail by the one that the caller has of it, with more beside it.
func (op *opener) augment(v verified, content func() io.Reader) (verified, error) {
	signedBefore := slices.ContainsFunc(op.layers, func(l openedLayer) bool { return l.Type == LayerSigned })
	if op.o.Augmented == nil || signedBefore || slices.ContainsFunc(v.signers, func(r cms.SignerResult) bool { return r.Err != nil }) {
		return v, nil
	}
	r, err := cms.NewReader(bytes.NewReader(op.o.Augmented), op.o.Limits)
	if err != nil {
		return v, err
	}
	s, err := r.SignedData(op.signedOptions(content()))
	if err != nil {
		return v, err
	}
	again, err := op.readSigned(s, io.Discard)
	if err != nil {
		return v, err
	}
	if !sameSignatures(v.signers, again.signers) {
		return v, errors.New("the signature that is kept beside the message is another one than the message's own")
	}
	return again, nil
}

func sameSignatures(a, b []cms.SignerResult) bool {
	octets := func(list []cms.SignerResult) (out [][]byte) {
		for _, r := range list {
			out = append(out, r.Signature)
		}
		slices.SortFunc(out, bytes.Compare)
		return out
	}
	return slices.EqualFunc(octets(a), octets(b), bytes.Equal)
}
