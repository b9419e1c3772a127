package cli

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/smime"
)

// printVerdict writes what may be believed about a message: one word and one
// sentence first, then who, through whom, over what, what is wrong and what to do.
func (p *program) printVerdict(w io.Writer, m *smime.Message, asJSON bool) error {
	v := m.Verdict
	if asJSON {
		return p.printJSON(v)
	}
	s := p.newSheet(w)
	s.headline(v.Verdict, string(v.Verdict), headline(v))
	s.row("From", strings.Join(v.From, ", "))
	s.row("Subject", v.Subject)
	for i := range v.Signers {
		s.signer(&v.Signers[i], learnedOf(m.Learned, v.Signers[i].SHA256), v.Verdict)
	}
	s.row("Covers", s.say(coverage(v.Coverage)))
	s.row("Headers", s.say(headers(v.HeaderProtection)))
	s.row("Encrypted", s.encryption(v))
	if m.ReceiptRequest() != nil {
		s.row("Receipt", s.say("asked for: mailseal receipt make"))
	}
	for _, warning := range v.Warnings {
		s.note("Note", warning)
	}
	s.row("What to do", s.say(advice(v)))
	return s.print()
}

// headline says the verdict as a sentence; the details follow with each signer.
func headline(v smime.Verdict) string {
	if v.Verdict == smime.Valid {
		return "signed by the address that it comes from, and unaltered"
	}
	switch worst := decisive(v); {
	case worst == smime.StatusAddressMismatch && len(v.From) == 0:
		return "it does not say who it is from; --from ADDR asks whether it is signed by ADDR"
	case worst != smime.StatusValid:
		return accusation(worst)
	}
	switch {
	case v.Verdict == smime.Unsigned && v.Coverage == smime.CoveragePart:
		return "a signature covers only a part of what is shown; anyone may have written the rest"
	case v.Verdict == smime.Unsigned:
		return "nobody signed this mail; anyone may have written it"
	case v.Verdict == smime.Unknown:
		return "it cannot be told here who wrote this mail"
	}
	return "do not believe this mail: it was altered, or its signature is broken"
}

// accusation says what a signer's status means for the mail; "" for a valid one.
func accusation(s smime.Status) string {
	switch s {
	case smime.StatusInvalid:
		return "do not believe this mail: it was altered, or its signature is broken"
	case smime.StatusAddressMismatch:
		return "do not believe this mail: it is signed by another than it says it is from"
	case smime.StatusRevoked:
		return "do not believe this mail: the certificate of its signer was revoked"
	case smime.StatusUntrusted:
		return "unaltered, but nobody whom you trust says who signed it"
	case smime.StatusExpired:
		return "unaltered, but the certificate of its signer had ended"
	case smime.StatusWeak:
		return "signed, but too weakly to be believed"
	case smime.StatusUnsupported:
		return "signed in a way that this version cannot check"
	case smime.StatusRevocationUnknown:
		return "it cannot be told whether the certificate of its signer was revoked"
	}
	return ""
}

// signer says who made one signature. Of names and organization only what a trusted
// authority answers for is shown; learned is nil for all others.
func (s *sheet) signer(of *smime.Signer, learned *smime.LearnedSigner, c smime.Conclusion) {
	who := strings.Join(of.Emails, ", ")
	if who == "" {
		who = of.Subject
	}
	if who == "" {
		who = s.say("nobody who can be named")
	}
	s.row("Signed by", who)
	if of.Status != smime.StatusValid {
		head, text := s.paint(c, s.say(string(of.Status))), reason(of)
		if text != "" {
			head += s.say(": ")
		}
		s.painted("", head, s.translate(text))
	}
	if learned != nil {
		subject := learned.Certificate.Subject
		s.row("Name", strings.Join(slices.DeleteFunc(subject.Get(oid.CommonName), isAddress), ", "))
		s.row("Organization", strings.Join(append(subject.Get(oid.Organization), subject.Get(oid.OrganizationalUnit)...), ", "))
	}
	s.row("Issued by", of.Issuer)
	if learned != nil && len(learned.Chain) > 0 {
		s.row("Trusted by", learned.Chain[len(learned.Chain)-1].Subject.String())
	}
	s.row("Validation", s.say(validation(of.Validation)))
	if !of.Timestamped.IsZero() {
		s.row("Stamped at", clock(of.Timestamped))
	}
	if !of.SigningTime.IsZero() {
		s.row("Signed at", s.say("{} by the signer's own clock", clock(of.SigningTime)))
	}
	s.row("Algorithm", of.Algorithm)
}

// isAddress is for names: the addresses of a certificate are those in Signed by, and
// what looks like another must not stand beside them.
func isAddress(name string) bool { return strings.Contains(name, "@") }

// learnedOf finds what a signer proved about itself. Only a valid verdict has a path
// that was followed to its end.
func learnedOf(learned *smime.Learned, signer string) *smime.LearnedSigner {
	if learned == nil {
		return nil
	}
	for i := range learned.Signers {
		if learned.Signers[i].Certificate.SHA256() == signer {
			return &learned.Signers[i]
		}
	}
	return nil
}

// reason follows the status, which some reasons begin with.
func reason(s *smime.Signer) string { return strings.TrimPrefix(s.Reason, string(s.Status)+": ") }

// advice says what a careful person does now; "" where there is nothing to do.
func advice(v smime.Verdict) string {
	switch v.Verdict {
	case smime.Valid:
		return ""
	case smime.Unsigned:
		return "if it matters, ask the sender in another way, or for a signed mail"
	}
	return remedy(decisive(v))
}

func remedy(s smime.Status) string {
	switch s {
	case smime.StatusInvalid, smime.StatusRevoked:
		return "do nothing that it asks for; ask the sender in another way than by an answer"
	case smime.StatusAddressMismatch:
		return "look who signed it; if that is not whom you expect, ask the sender in another way than by an answer"
	case smime.StatusUntrusted:
		return "if you know the authority above, compare its root's fingerprint with its owner and name the root with --trust"
	case smime.StatusExpired:
		return "ask the sender for a mail that is signed with their present certificate"
	case smime.StatusWeak:
		return "ask the sender to sign with SHA-256 or better and an RSA key of 2048 bits or more"
	case smime.StatusUnsupported:
		return "try a newer version, or see what it is: mailseal inspect FILE"
	case smime.StatusRevocationUnknown:
		return "try again later, or give the revocation list with --crl"
	}
	return ""
}

// decisive is the status that made the verdict what it is: the worst.
func decisive(v smime.Verdict) smime.Status {
	for _, worst := range []smime.Status{
		smime.StatusInvalid, smime.StatusRevoked, smime.StatusAddressMismatch, smime.StatusUntrusted, smime.StatusExpired,
		smime.StatusWeak, smime.StatusUnsupported, smime.StatusRevocationUnknown,
	} {
		if slices.ContainsFunc(v.Signers, func(s smime.Signer) bool { return s.Status == worst }) {
			return worst
		}
	}
	return smime.StatusValid
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func coverage(c smime.Coverage) string {
	switch c {
	case smime.CoverageWhole:
		return "the whole message"
	case smime.CoveragePart:
		return "a part of the message only"
	}
	return "nothing"
}

// headers says what stands behind Subject, From and the rest; "" where nothing does, as
// in most mail.
func headers(p smime.HeaderProtection) string {
	switch p {
	case smime.HeaderSigned:
		return "signed too"
	case smime.HeaderEncrypted:
		return "protected inside the encryption too"
	}
	return ""
}

func (s *sheet) encryption(v smime.Verdict) string {
	i := slices.IndexFunc(v.Layers, func(l smime.Layer) bool { return l.Type == smime.LayerEncrypted })
	switch {
	case !v.Encrypted:
		return s.say("no")
	case i < 0:
		return s.say("yes")
	case v.Layers[i].Recipients == 1:
		return s.say("yes, {}, to one recipient", v.Layers[i].Algorithm)
	}
	return s.say("yes, {}, to {} recipients", v.Layers[i].Algorithm, strconv.Itoa(v.Layers[i].Recipients))
}

// validation writes the CA/Browser Forum's types out.
func validation(kind string) string {
	switch kind {
	case "MV":
		return "the mailbox"
	case "IV":
		return "mailbox and person"
	case "OV":
		return "mailbox and organization"
	case "SV":
		return "mailbox, organization and person"
	}
	return ""
}

// painter colours a text by a conclusion.
type painter func(smime.Conclusion, string) string

// colours are for a person who wants them: on a terminal, and without NO_COLOR
// (no-color.org).
func (p *program) colours(w io.Writer) bool {
	value, _ := p.env.LookupEnv("NO_COLOR")
	return value == "" && p.isTerminal(w)
}

func (p *program) painter(w io.Writer) painter {
	if !p.colours(w) {
		return func(_ smime.Conclusion, text string) string { return text }
	}
	return func(c smime.Conclusion, text string) string {
		colour := "33" // yellow
		switch c {
		case smime.Valid:
			colour = "32" // green
		case smime.Invalid:
			colour = "31" // red
		}
		return "\x1b[1;" + colour + "m" + text + "\x1b[0m"
	}
}
