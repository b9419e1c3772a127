package smime

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/oid"
)

// maxReceiptFile is how large a file with a bare receipt may be, signature and certificates included.
const maxReceiptFile = 4 << 20

// VerifyReceipt says whether the first size bytes of src, a mail or a bare receipt in DER or PEM, are a signed receipt for the original
// message (RFC 2634 §2.6). A verdict of [Valid] means that the signer, who is trusted and whom the original asked, has had that message
// with exactly that signature. The verdict over the original does not matter: its sender knows it.
//
// The error is as with [Open]; the verdict is nil only with an error.
func VerifyReceipt(src io.ReaderAt, size int64, original *Message, o *OpenOptions) (*Verdict, error) {
	if o == nil || o.At.IsZero() {
		return nil, errors.New("smime: OpenOptions.At is not set: a verdict holds for a time")
	}
	op, signed, content, err := openReceipt(src, size, o)
	if op != nil {
		defer op.message.Close()
	}
	if err != nil {
		return nil, err
	}
	v := op.judgeReceipt(signed)
	for i, s := range signed.Signers() {
		if fault := original.matches(s, content); fault != nil {
			signer := &v.Signers[i]
			signer.Status = worse(signer.Status, StatusInvalid)
			signer.Reason = strings.TrimSuffix(fault.Error()+"; "+signer.Reason, "; ")
		}
	}
	l := layerEvidence{kind: LayerSigned}
	for _, s := range v.Signers {
		l.signers = append(l.signers, s.Status)
	}
	v.Verdict, v.Coverage = conclude(evidence{layers: []layerEvidence{l}})
	return v, nil
}

// openReceipt takes off what is around a receipt and reads it to its end.
func openReceipt(src io.ReaderAt, size int64, o *OpenOptions) (*opener, *cms.SignedReader, []byte, error) {
	e, err := entity.Read(src, size)
	if err != nil {
		return nil, nil, nil, &MalformedError{"message header", err}
	}
	op := &opener{o: o, size: size, message: &Message{outer: e.Header}, judge: judge{o: o, sender: bindSender(e.Header, o.From, o.DecodeHeader)}}
	if len(e.Header.Fields) == 0 {
		op.judge.raw = o.From == ""
		der, err := bareReceipt(src, size)
		if err != nil {
			return op, nil, nil, err
		}
		signed, content, err := op.readReceipt(bytes.NewReader(der))
		return op, signed, content, err
	}
	for depth := 0; depth < MaxLayers; depth++ {
		c := classify(e)
		if c.form != formPKCS7 && c.form != formNamed {
			break
		}
		r, err := cms.NewReader(cmsBody(e, c.encoding), o.Limits)
		if err != nil {
			return op, nil, nil, op.malformed(err)
		}
		if r.ContentType() == oid.SignedData {
			signed, content, err := op.readReceipt(cmsBody(e, c.encoding))
			return op, signed, content, err
		}
		if r.ContentType() != oid.EnvelopedData && r.ContentType() != oid.AuthEnvelopedData {
			break
		}
		if e, err = op.decrypt(r); err != nil {
			return op, nil, nil, err
		}
	}
	return op, nil, nil, &MalformedError{"receipt", errors.New("this is no signed receipt")}
}

// bareReceipt reads DER or PEM.
func bareReceipt(src io.ReaderAt, size int64) ([]byte, error) {
	if size > maxReceiptFile {
		return nil, &MalformedError{"receipt", fmt.Errorf("larger than %d MiB", maxReceiptFile>>20)}
	}
	data := make([]byte, size)
	if n, err := src.ReadAt(data, 0); err != nil && (!errors.Is(err, io.EOF) || int64(n) < size) {
		return nil, fmt.Errorf("smime: read the receipt: %w", err)
	}
	if block, _ := pem.Decode(data); block != nil {
		return block.Bytes, nil
	}
	return data, nil
}

func (op *opener) readReceipt(src io.Reader) (*cms.SignedReader, []byte, error) {
	r, err := cms.NewReader(src, op.o.Limits)
	if err != nil {
		return nil, nil, &MalformedError{"receipt", err}
	}
	s, err := r.SignedData(op.signedOptions(nil))
	if err != nil {
		return nil, nil, &MalformedError{"receipt", err}
	}
	if s.ContentType() != oid.Receipt || s.Detached() {
		return nil, nil, &MalformedError{"receipt", fmt.Errorf("signed %s, not a signed receipt", s.ContentType().Name())}
	}
	content, err := io.ReadAll(io.LimitReader(s, MaxReceipt+1))
	if len(content) > MaxReceipt {
		err = fmt.Errorf("larger than %d KiB", MaxReceipt>>10)
	} else if s.Signers() != nil {
		err = nil // what is wrong with a signature is in its result
	}
	if err == nil && len(s.Signers()) == 0 {
		err = errors.New("nobody signed it")
	}
	if err != nil {
		return nil, nil, &MalformedError{"receipt", err}
	}
	return s, content, nil
}

// judgeReceipt judges the signers as those of a message; of a bare receipt nobody knows who it is said to be from.
func (op *opener) judgeReceipt(s *cms.SignedReader) *Verdict {
	v := &Verdict{From: append([]string{}, op.judge.sender.shown...), Signers: []Signer{}, Layers: []Layer{}, Warnings: []string{},
		HeaderProtection: HeaderNone, DifferingHeaders: []DifferingHeader{}}
	for _, l := range op.layers {
		v.Layers, v.Encrypted = append(v.Layers, l.Layer), true
	}
	l := Layer{Type: LayerSigned}
	var algorithms []string
	for _, r := range s.Signers() {
		signer, _ := op.judge.signer(r, s)
		v.Signers = append(v.Signers, signer)
		if !slices.Contains(algorithms, signer.Algorithm) {
			algorithms = append(algorithms, signer.Algorithm)
		}
	}
	l.Algorithm = strings.Join(algorithms, ", ")
	v.Layers = append(v.Layers, l)
	v.Warnings = append(v.Warnings, op.judge.sender.warnings...)
	if text := op.judge.unaskedWarning(len(v.Signers)); text != "" {
		v.Warnings = append(v.Warnings, text)
	}
	return v
}

// matches says why a receipt is not for the message; nil when it is (RFC 2634 §2.6).
func (m *Message) matches(by cms.SignerResult, content []byte) error {
	r, err := parseReceipt(content)
	if err != nil {
		return err
	}
	for _, s := range m.signed {
		if !bytes.Equal(s.Signature, r.signature) {
			continue
		}
		return matchesSigner(by, r, s)
	}
	return errors.New("the receipt is for another message: it names a signature that this one does not have")
}

func matchesSigner(by cms.SignerResult, r *receipt, s cms.SignerResult) error {
	if s.Err != nil {
		return fmt.Errorf("the original message is not what was signed (%s)", words(s.Err))
	}
	if r.contentType != oid.Data {
		return fmt.Errorf("the receipt is for %s, not mail", r.contentType.Name())
	}
	values := s.SignedAttrs.Values(oid.AttrReceiptRequest)
	if len(values) != 1 {
		return errors.New("the original message asks for no receipt")
	}
	request, err := parseReceiptRequest(values[0])
	switch {
	case err != nil:
		return err
	case !bytes.Equal(request.ContentID, r.contentID):
		return errors.New("the receipt is for another message: its content identifier is another")
	case by.Certificate != nil && !request.asks(certpath.Mailboxes(by.Certificate)):
		return errors.New("the original message did not ask this signer for a receipt")
	}
	digest, err := s.SignedAttrsDigest()
	if err != nil {
		return errors.New(words(err))
	}
	for _, v := range by.SignedAttrs.Values(oid.AttrMsgSigDigest) {
		in := cryptobyte.String(v)
		var got cryptobyte.String
		if in.ReadASN1(&got, asn1.OCTET_STRING) && in.Empty() && bytes.Equal(got, digest) {
			return nil
		}
	}
	return errors.New("the receipt is for another message: it names another digest")
}
