package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/smime"
)

// printVerdict writes what may be believed about a message: one word and one
// sentence first, then who, through whom, over what, and what is wrong.
func (p *program) printVerdict(w io.Writer, m *smime.Message, asJSON bool) error {
	v := m.Verdict
	if asJSON {
		return p.printJSON(v)
	}
	paint := p.painter(w)
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\n", paint(v.Verdict, strings.ToUpper(string(v.Verdict))), headline(v))
	row(&b, "From", strings.Join(v.From, ", "))
	row(&b, "Subject", v.Subject)
	for i := range v.Signers {
		s := &v.Signers[i]
		writeSigner(&b, s, anchor(m.Learned, s.SHA256), func(text string) string { return paint(v.Verdict, text) })
	}
	row(&b, "Covers", coverage(v.Coverage))
	row(&b, "Headers", headers(v.HeaderProtection))
	row(&b, "Encrypted", encryption(v))
	if m.ReceiptRequest() != nil {
		row(&b, "Receipt", "asked for: mailseal receipt make")
	}
	for _, warning := range v.Warnings {
		row(&b, "Note", warning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// row writes one labelled line. The text comes from mails and certificates, so it
// must not be able to act on the terminal.
func row(b *strings.Builder, label, text string) {
	if text != "" {
		fmt.Fprintf(b, "  %-12s %s\n", label, inspect.Visible(text))
	}
}

// headline says the verdict as a sentence; the details follow with each signer.
func headline(v smime.Verdict) string {
	if v.Verdict == smime.Valid {
		return "signed by the address that it comes from, and unaltered"
	}
	for _, s := range v.Signers {
		if s.Status == smime.StatusAddressMismatch && len(v.From) == 0 {
			return "it does not say who it is from; --from ADDR asks whether it is signed by ADDR"
		}
		if text := accusation(s.Status); text != "" {
			return text
		}
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

func writeSigner(b *strings.Builder, s *smime.Signer, anchor string, paint func(string) string) {
	who := strings.Join(s.Emails, ", ")
	if who == "" {
		who = s.Subject
	}
	if who == "" {
		who = "nobody who can be named"
	}
	row(b, "Signed by", who)
	if s.Status != smime.StatusValid {
		fmt.Fprintf(b, "  %-12s %s%s\n", "", paint(string(s.Status)), reason(s))
	}
	row(b, "Issued by", s.Issuer)
	row(b, "Trusted by", anchor)
	row(b, "Validation", validation(s.Validation))
	if !s.Timestamped.IsZero() {
		row(b, "Stamped at", clock(s.Timestamped))
	}
	if !s.SigningTime.IsZero() {
		row(b, "Signed at", clock(s.SigningTime)+" by the signer's own clock")
	}
	row(b, "Algorithm", s.Algorithm)
}

// anchor names the root at which the trust in a signer begins. Only a valid verdict
// has a path that was followed to its end.
func anchor(learned *smime.Learned, signer string) string {
	if learned == nil {
		return ""
	}
	for _, s := range learned.Signers {
		if s.Certificate.SHA256() == signer && len(s.Chain) > 0 {
			return s.Chain[len(s.Chain)-1].Subject.String()
		}
	}
	return ""
}

// reason follows the status, which some reasons begin with.
func reason(s *smime.Signer) string {
	text := strings.TrimPrefix(s.Reason, string(s.Status)+": ")
	if text == "" {
		return ""
	}
	return ": " + inspect.Visible(text)
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

func encryption(v smime.Verdict) string {
	if !v.Encrypted {
		return "no"
	}
	i := slices.IndexFunc(v.Layers, func(l smime.Layer) bool { return l.Type == smime.LayerEncrypted })
	if i < 0 {
		return "yes"
	}
	l := v.Layers[i]
	if l.Recipients == 1 {
		return "yes, " + l.Algorithm + ", to one recipient"
	}
	return fmt.Sprintf("yes, %s, to %d recipients", l.Algorithm, l.Recipients)
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

// painter colours only for a person who wants colours: on a terminal, and without
// NO_COLOR (no-color.org).
func (p *program) painter(w io.Writer) painter {
	if value, _ := p.env.LookupEnv("NO_COLOR"); value != "" || !p.isTerminal(w) {
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
