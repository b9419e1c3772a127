package smime

import (
	"fmt"
	"mime"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/internal/entity"
)

// HeaderProtection is what a message does for its own header.
type HeaderProtection string

// The states of a header. Only the first two let the header inside speak for the message.
const (
	// HeaderSigned: a signature covers a copy of the header (RFC 9788).
	HeaderSigned HeaderProtection = "signed"
	// HeaderEncrypted: a copy of the header is encrypted, and perhaps signed too (RFC 9788).
	HeaderEncrypted HeaderProtection = "encrypted"
	// HeaderWrapped: the protected part is a message of its own, with a header of its own (RFC 8551 §3.1). That is how headers were
	// protected once and how messages are forwarded today, and nothing tells the one from the other.
	HeaderWrapped HeaderProtection = "wrapped"
	// HeaderMemoryHole: there is a copy of the header in the form that came before RFC 9788. It is compared, not shown.
	HeaderMemoryHole HeaderProtection = "memory-hole"
	// HeaderNone: whatever the header says, anyone may have written.
	HeaderNone HeaderProtection = "none"
)

// DifferingHeader is a header field that is not as the sender wrote it.
type DifferingHeader struct {
	Name string `json:"name"`
	// Outside is what the message says, "" if nothing; Inside what the sender protected.
	Outside string `json:"outside"`
	Inside  string `json:"inside"`
}

// maxDiffering is how many fields are reported.
const maxDiffering = 64

// protectedHeader is the header inside, if there is one.
type protectedHeader struct {
	state  HeaderProtection
	fields []entity.Field // what the sender protected
	sent   []entity.Field // what the sender wrote outside
	told   bool           // by HP-Outer fields; if not, it is taken to be the same as inside
	cipher bool           // the sender said that the message is encrypted
	forged []string       // fields outside that lead answers elsewhere than the sender wrote
}

// promoted tells whether the protected Subject takes the place of the one outside.
func (p protectedHeader) promoted() bool {
	return p.state == HeaderSigned || p.state == HeaderEncrypted
}

// findHeader looks for a header inside the innermost layer, and nowhere else (RFC 9788 §4.1).
func (op *opener) findHeader() protectedHeader {
	none := protectedHeader{state: HeaderNone}
	content := op.message.content
	if content == nil {
		return none
	}
	typ, err := content.ContentType()
	if err != nil {
		return none
	}
	hp := strings.ToLower(typ.Parameter("hp"))
	encrypted, intact := op.encrypted(), op.intact()
	if len(content.Header.Defects) > 0 && hp != "" {
		op.warn("the protected header is not read: %s", content.Header.Defects[0])
		return none
	}
	switch {
	case hp == hpCipher && encrypted:
		return newProtectedHeader(HeaderEncrypted, content.Header, true)
	case (hp == hpCipher || hp == hpClear) && intact:
		return newProtectedHeader(HeaderSigned, content.Header, hp == hpCipher)
	case hp != "":
		// The signature is broken: who could change the text could change the header. Or the value is not known.
		return none
	case strings.EqualFold(typ.Parameter("protected-headers"), "v1") && (encrypted || intact):
		return newProtectedHeader(HeaderMemoryHole, content.Header, false)
	case typ.Type == "message/rfc822" && (encrypted || intact):
		if m, err := content.Message(); err == nil && m.Header.Has("From") {
			return newProtectedHeader(HeaderWrapped, m.Header, false)
		}
	}
	return none
}

// newProtectedHeader divides what is inside. What the sender wrote outside is only told where something may be hidden (RFC 9788
// §2.2); of the rest, inside and outside are the same.
func newProtectedHeader(state HeaderProtection, h entity.Header, cipher bool) protectedHeader {
	p := protectedHeader{state: state, cipher: cipher}
	for _, f := range h.Fields {
		switch {
		case f.Is(hpOuter):
			name, _, found := strings.Cut(f.Value(), ":")
			if _, raw, _ := strings.Cut(string(f.Raw), ":"); found && cipher {
				p.sent = append(p.sent, entity.Field{Name: strings.TrimSpace(name), Raw: []byte(raw)})
			}
		case f.IsContent(), f.Is("MIME-Version"):
		default:
			p.fields = append(p.fields, f)
		}
	}
	if p.told = len(p.sent) > 0; !p.told {
		p.sent = p.fields
	}
	return p
}

func (op *opener) encrypted() bool {
	return slices.ContainsFunc(op.layers, func(l openedLayer) bool { return l.Type == LayerEncrypted })
}

// intact tells whether there are signatures and each is right, whoever made it.
func (op *opener) intact() bool {
	n := 0
	for _, l := range op.layers {
		if l.broken {
			return false
		}
		for _, s := range l.signers {
			if n++; s.Status == StatusInvalid {
				return false
			}
		}
	}
	return n > 0
}

// judgeHeader compares the header inside with that outside, and fills in what the verdict says of it.
func (op *opener) judgeHeader(v *Verdict) {
	p := op.findHeader()
	v.HeaderProtection = p.state
	v.Subject = op.subject(op.message.outer, "message")
	v.DifferingHeaders = []DifferingHeader{}
	switch p.state {
	case HeaderNone:
		if op.message.content != nil && len(op.layers) > 0 {
			op.warnInnerHeader(op.message.content.Header)
		}
		return
	case HeaderWrapped:
		op.warn("the protected part is a message of its own; its header is not that of this message")
		if !op.sameSender(p) {
			return // forwarded
		}
	case HeaderSigned, HeaderEncrypted:
		op.warnMode(p)
		v.Subject = op.subject(entity.Header{Fields: p.fields}, "protected header")
	}
	v.DifferingHeaders = op.differing(p)
	for _, d := range v.DifferingHeaders {
		op.warnDiffering(d, p)
		if p.promoted() && steers(d.Name) {
			p.forged = append(p.forged, d.Name)
		}
	}
	if p.promoted() {
		op.message.protected = p
	}
	if p.state != HeaderWrapped {
		op.bindProtected(p)
	}
}

// subject is the Subject of a header. Of several, none is shown.
func (op *opener) subject(h entity.Header, where string) string {
	value, err := h.Only("Subject")
	if err != nil {
		op.warn("the %s has %d Subject fields; none is shown", where, len(h.All("Subject")))
		return ""
	}
	return op.decode(value)
}

// decode turns a field's value into text.
func (op *opener) decode(value string) string { return decodeWith(op.o.DecodeHeader, value) }

// decodeWith decodes with the caller's function, or without one as far as the standard library can.
func decodeWith(decode func(string) string, value string) string {
	if decode != nil {
		return decode(value)
	}
	text, err := new(mime.WordDecoder).DecodeHeader(value)
	if err != nil {
		return value
	}
	return text
}

// warnMode warns where the message is not what its sender made (RFC 9788 §4.1): hp tells what that was.
func (op *opener) warnMode(p protectedHeader) {
	switch encrypted := op.encrypted(); {
	case p.cipher && !encrypted:
		op.warn("the sender encrypted the message; somebody on its way has decrypted it")
	case !p.cipher && encrypted:
		op.warn("the sender signed the message for everybody to read; somebody else may have encrypted it")
	}
}

// differing compares each field outside with what the sender wrote there (RFC 9788 §4.3). Fields that carriers add are their own.
func (op *opener) differing(p protectedHeader) []DifferingHeader {
	list := []DifferingHeader{}
	sent, inside, outside := op.texts(p.sent), op.texts(p.fields), op.texts(op.message.outer.Fields)
	seen := map[string]bool{}
	for _, name := range slices.Concat(steeringFields, names(p.sent), names(p.fields), shownFields) {
		key := strings.ToLower(name)
		if seen[key] || len(list) == maxDiffering {
			continue
		}
		seen[key] = true
		out := outside[key]
		if slices.Equal(out, sent[key]) || key == "subject" && isPlaceholder(out) && !p.told && p.state != HeaderSigned {
			continue
		}
		list = append(list, DifferingHeader{Name: name, Outside: strings.Join(out, "\n"), Inside: strings.Join(inside[key], "\n")})
	}
	return list
}

// isPlaceholder tells whether a Subject is one of those that stand for a hidden one.
func isPlaceholder(subject []string) bool {
	return len(subject) == 1 && (subject[0] == hiddenSubject || subject[0] == "...")
}

func names(fields []entity.Field) []string {
	var list []string
	for _, f := range fields {
		if !isTrace(f) {
			list = append(list, f.Name)
		}
	}
	return list
}

// texts are those of all fields, by their names in lower case. Carriers fold lines anew and choose other encodings, which changes no
// text.
func (op *opener) texts(fields []entity.Field) map[string][]string {
	texts := make(map[string][]string, len(fields))
	for _, f := range fields {
		key := strings.ToLower(f.Name)
		texts[key] = append(texts[key], strings.Join(strings.Fields(op.decode(f.Value())), " "))
	}
	return texts
}

// warnDiffering tells of one field. What is done about it in the opened message is told too.
func (op *opener) warnDiffering(d DifferingHeader, p protectedHeader) {
	done := ""
	switch protected := len((entity.Header{Fields: p.fields}).All(d.Name)); {
	case !p.promoted():
	case strings.EqualFold(d.Name, "Subject") && protected == 1 && d.Outside != "":
		done = "; the protected one is shown"
	case steers(d.Name) && d.Outside != "":
		done = "; the opened message does not have it, so that no answer goes there"
	}
	var text string
	switch {
	case d.Outside == "":
		text = fmt.Sprintf("the sender wrote a %s that the message does not have any more: %s", d.Name, clip(d.Inside))
	case d.Inside == "":
		text = fmt.Sprintf("the message has a %s that its sender did not write: %s", d.Name, clip(d.Outside))
	default:
		text = fmt.Sprintf("the %s of the message is not what its sender wrote: outside %q, protected %q", d.Name, clip(d.Outside), clip(d.Inside))
	}
	op.warn("%s%s", text, done)
}

// steeringFields say where answers and notices go (RFC 5322 §3.6.2, §3.6.3, RFC 8098 §2.1), From itself aside.
var steeringFields = []string{"Reply-To", "To", "Cc", "Sender", "Followup-To", "Mail-Reply-To", "Mail-Followup-To", "Disposition-Notification-To", "Return-Receipt-To"}

func steers(name string) bool {
	return slices.ContainsFunc(steeringFields, func(f string) bool { return strings.EqualFold(f, name) })
}

// clip shortens a text for a warning.
func clip(text string) string {
	const most = 200
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

// sameSender tells whether the protected From is the one outside.
func (op *opener) sameSender(p protectedHeader) bool {
	list, err := entity.Header{Fields: p.fields}.Addresses("From")
	return err == nil && len(list) == 1 && list[0].Mailbox.Equal(op.judge.sender.address)
}

// bindProtected holds the From inside to the From outside. RFC 9788 §4.4 would show either of them with a warning, according to which
// of them the signature fits; here two senders are as bad as two From fields, since programs show one or the other.
func (op *opener) bindProtected(p protectedHeader) {
	inside := entity.Header{Fields: p.fields}
	if op.judge.sender.problem != "" || !inside.Has("From") || op.sameSender(p) {
		return
	}
	problem := fmt.Sprintf("the protected From is %s, the message is from %s", clip(strings.Join(op.texts(inside.All("From"))["from"], ", ")), op.judge.sender.address)
	op.warn("%s", problem)
	for _, l := range op.layers {
		for i := range l.signers {
			l.signers[i].blame(StatusAddressMismatch, problem)
		}
	}
}

// blame adds a finding to those about a signature.
func (s *Signer) blame(status Status, reason string) {
	f := finding{status: s.Status}
	if s.Reason != "" {
		f.reasons = []string{s.Reason}
	}
	f.add(status, "%s", reason)
	s.Status, s.Reason = f.status, strings.Join(f.reasons, "; ")
}
