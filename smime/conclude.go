package smime

import (
	"slices"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
)

// maxSkew is how far Date and signing time may be apart without a warning. Thunderbird refuses an hour.
const maxSkew = 55 * time.Minute

const (
	// maxScanned is how many parts are looked at in search of signatures that do not count.
	maxScanned = 200
	// maxScanDepth is how deep.
	maxScanDepth = 16
)

// conclude fills the verdict in from what was found.
func (op *opener) conclude() {
	v := &op.message.Verdict
	*v = Verdict{From: append([]string{}, op.judge.sender.shown...), Signers: []Signer{}, Layers: []Layer{}}
	op.judgeHeader(v)
	e := evidence{closed: op.closed}
	for _, l := range op.layers {
		v.Layers = append(v.Layers, l.Layer)
		v.Signers = append(v.Signers, l.signers...)
		v.Encrypted = v.Encrypted || l.Type == LayerEncrypted
		e.layers = append(e.layers, l.evidence())
	}
	if op.message.content != nil {
		found := op.scanParts(op.message.content)
		e.partSigned = found.signed
	}
	v.Verdict, v.Coverage = conclude(e)
	op.warnAll(v)
	v.Warnings = append(append([]string{}, op.judge.sender.warnings...), op.warnings...)
	if op.message.content != nil {
		op.message.signed = op.innermostSigners()
	}
	if v.Verdict == Valid {
		op.learn()
	}
}

// innermostSigners are those whose signature covers the content itself.
func (op *opener) innermostSigners() []cms.SignerResult {
	for _, l := range slices.Backward(op.layers) {
		switch {
		case l.Type == LayerEncrypted:
			return nil
		case l.Type == LayerSigned && len(l.verified.signers) > 0:
			return l.verified.signers
		}
	}
	return nil
}

func (l openedLayer) evidence() layerEvidence {
	e := layerEvidence{kind: l.Type, broken: l.broken}
	if l.broken {
		return e
	}
	for _, s := range l.signers {
		e.signers = append(e.signers, s.Status)
	}
	return e
}

// warnAll adds the warnings that depend on the whole.
func (op *opener) warnAll(v *Verdict) {
	if v.Coverage == CoveragePart && len(v.Signers) > 0 && v.Encrypted && !op.closed {
		op.warn("the only signature is outside of the encryption: it shows who sent the ciphertext, not who wrote what is inside")
	}
	op.warnUnprotected()
	if len(v.Signers) > 0 {
		op.warnReplyTo()
	}
	if text := op.judge.unaskedWarning(len(v.Signers)); text != "" {
		op.warn("%s", text)
	}
	op.warnings = append(op.warnings, op.judge.notes...)
	op.warnTimes(v)
}

// warnReplyTo warns of a Reply-To beside From where no signature covers the header: whoever carried the message can have put it there,
// and the answer goes to them. Of one beside a protected header, warnDiffering says more.
func (op *opener) warnReplyTo() {
	outer, sender := op.message.outer, op.judge.sender.address
	if op.message.protected.promoted() || !outer.Has("Reply-To") || sender.IsZero() {
		return
	}
	list, err := outer.Addresses("Reply-To")
	if err != nil {
		op.warn("the Reply-To header cannot be read without guessing")
		return
	}
	for _, a := range list {
		if !a.Mailbox.Equal(sender) {
			op.warn("answers would go to %s, and the message is from %s; no signature covers the Reply-To header", a.Mailbox, sender)
			return
		}
	}
}

// warnUnprotected warns of encryption that does not show changes, with no signature inside that would (the CBC gadgets of Efail).
func (op *opener) warnUnprotected() {
	for i, l := range op.layers {
		if l.Type != LayerEncrypted || l.authenticated || op.closed && i == len(op.layers)-1 {
			continue
		}
		signed := false
		for _, inner := range op.layers[i+1:] {
			signed = signed || len(inner.signers) > 0
		}
		if !signed {
			op.warn("%s does not protect against changes and nothing inside is signed: the text may not be what was encrypted", l.Algorithm)
			op.warnGarbage()
		}
	}
}

// warnGarbage looks for what blind changes to CBC leave behind.
func (op *opener) warnGarbage() {
	if op.message.content == nil {
		return
	}
	if d := op.message.content.Header.Defects; len(d) > 0 {
		op.warn("the decrypted part looks changed: %s", d[0])
	}
}

func (op *opener) warnTimes(v *Verdict) {
	date := headerDate(op.message.outer)
	for _, s := range v.Signers {
		if s.SigningTime.IsZero() {
			continue
		}
		if !date.IsZero() && s.SigningTime.Sub(date).Abs() > maxSkew {
			op.warn("signed at %s, but dated %s", s.SigningTime.UTC().Format(time.RFC3339), date.UTC().Format(time.RFC3339))
		}
		if s.SigningTime.After(op.o.At.Add(maxSkew)) {
			op.warn("signed at %s, which is in the future", s.SigningTime.UTC().Format(time.RFC3339))
		}
	}
}

// scanned is what a look into the content found.
type scanned struct {
	signed, encrypted, elsewhere bool
	parts                        int
}

// scanParts looks for layers that are only a part of what is shown: below a mailing list's footer, in a forwarded message. They
// are not judged, because a verdict about a part would be read as one about the whole.
func (op *opener) scanParts(e *entity.Entity) scanned {
	var s scanned
	s.scan(e, 0)
	if s.signed {
		op.warn("a part of the message has a signature of its own, which says nothing about the rest")
	}
	if s.encrypted {
		op.warn("a part of the message is encrypted and stays closed: it is only decrypted when it is all there is")
	}
	if s.elsewhere {
		op.warn("the message is not all here: a part of it is to be fetched or put together from elsewhere, and no signature covers that")
	}
	return s
}

func (s *scanned) scan(e *entity.Entity, depth int) {
	if s.parts++; s.parts > maxScanned || depth > maxScanDepth {
		return
	}
	c := classify(e)
	if depth > 0 {
		s.note(e, c)
	}
	switch {
	case c.typ.Type == "message/external-body", c.typ.Type == "message/partial": // RFC 2046 §5.2.2, §5.2.3
		s.elsewhere = true
	case c.typ.Type == "message/rfc822":
		if m, err := e.Message(); err == nil {
			s.scan(m, depth+1)
		}
	case c.typ.IsMultipart():
		m, err := e.Multipart()
		if err != nil {
			return
		}
		for _, span := range m.Parts {
			if p, err := e.Part(span); err == nil {
				s.scan(p, depth+1)
			}
		}
	}
}

// note records what kind of layer a part claims to be.
func (s *scanned) note(e *entity.Entity, c classification) {
	switch c.form {
	case formMultipartSigned:
		s.signed = true
	case formPKCS7, formNamed:
		switch contentTypeOf(e, c) {
		case LayerSigned:
			s.signed = true
		case LayerEncrypted:
			s.encrypted = true
		}
	}
}
