// Package evidence keeps a signed mail or file so that a third party can check it
// years later, without a network and without this program.
//
// A record is a ZIP file of plain files: what was signed, the signature with its
// timestamps, certificates and revocation information (CAdES, ETSI EN 319 122-1;
// see package cades), the same once more in the forms that OpenSSL reads, what
// was found when the record was made, and a README in English and Japanese with
// the commands that check it. Of all of these, what was signed and signature.p7s
// are the evidence; the rest follows from them or is a statement of whoever made
// the record. A manifest lists the digests of all of them, and a timestamp over
// it proves that they were put together by then.
//
// # Where to start
//
// [Make] makes a record of a [Source], [Read] opens one, and [Record.Check]
// judges it anew: nothing in it is believed because it is there.
//
// # What it is not
//
// A record is technical evidence. It is not a qualified electronic signature or
// timestamp in the sense of any law, and says so.
package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/revocation"
	"github.com/mailseal/mailseal/smime"
)

// Source is what a record is made of.
type Source struct {
	// Message is the signed mail as it is; nil for a file that is no mail.
	Message *io.SectionReader
	// Content is what was signed, octet for octet, and Signature a SignedData in
	// which it is not; see smime.Detach.
	Content   *io.SectionReader
	Signature []byte

	earlier []*seal // of the record that this is from
}

func (s *Source) content() io.Reader { return io.NewSectionReader(s.Content, 0, s.Content.Size()) }

// Options are what a judgement depends on beside the record.
type Options struct {
	// Anchors are the roots that are trusted. Those in a record are not.
	Anchors, Intermediates []*cert.Certificate
	// TimestampAnchors are further ones for timestamps, not for signers, and Store
	// has further ones for signers, not for timestamps.
	TimestampAnchors []*cert.Certificate
	Store            certpath.AnchorStore
	// Issuers, if not nil, is asked for certificates of authorities that are
	// missing; see [certpath.Options].
	Issuers func(leaf *cert.Certificate, known []*cert.Certificate) []*cert.Certificate
	// CRLs are revocation lists; Revocation, if not nil, fetches more.
	CRLs       []*cert.CRL
	Revocation revocation.Fetcher
	// At is the time of the judgement, Now when it is made (zero for At).
	At, Now time.Time
	// From, if not "", is the address that the mail must be from.
	From string
	// DecodeHeader and Spool are as in smime.OpenOptions.
	DecodeHeader func(value string) string
	Spool        func() (smime.Spool, error)
	// KeyOrigin, if not nil, says for a record that is made what is known of where
	// the key of a signer's certificate was made; "" for nothing.
	KeyOrigin func(c *cert.Certificate) string
}

func (o *Options) cades(mail bool) cades.Options {
	out := cades.Options{
		Anchors: o.Anchors, TimestampAnchors: o.TimestampAnchors, Intermediates: o.Intermediates, Store: o.Store, Issuers: o.Issuers, At: o.At, Now: o.Now,
		Evidence: revocation.Evidence{CRLs: o.CRLs}, Fetcher: o.Revocation,
	}
	if !mail {
		out.Purpose = certpath.AnyPurpose
	}
	return out
}

func (o *Options) open(signature []byte) *smime.OpenOptions {
	return &smime.OpenOptions{
		Anchors: o.Anchors, TimestampAnchors: o.TimestampAnchors, Intermediates: o.Intermediates, Store: o.Store, Issuers: o.Issuers, CRLs: o.CRLs, Revocation: o.Revocation, At: o.At, Now: o.Now,
		From: o.From, DecodeHeader: o.DecodeHeader, Spool: o.Spool, Augmented: signature,
	}
}

// verdict judges the source as a mail, or as a file where it is none.
func (s *Source) verdict(signature []byte, o *Options) (smime.Verdict, error) {
	if s.Message != nil {
		m, err := smime.Open(s.Message, s.Message.Size(), o.open(signature))
		if m == nil {
			return smime.Verdict{}, err
		}
		// A layer within that is closed is in the verdict already.
		return m.Verdict, m.Close()
	}
	reader, err := readSignature(signature, s.content(), o.Intermediates)
	if err != nil {
		return smime.Verdict{}, err
	}
	return smime.JudgeRaw(reader, o.open(nil)), nil
}

// LevelError: a record would not reach the level that was insisted on.
type LevelError struct {
	Wanted, Reached cades.Level
	Missing         []string
}

// Error names the level and what is missing.
func (e *LevelError) Error() string {
	reached := "it is not even CAdES-B-B"
	if e.Reached > cades.None {
		reached = "it is " + e.Reached.String()
	}
	return fmt.Sprintf("%s and not %s: missing is %s", reached, e.Wanted, strings.Join(e.Missing, "; "))
}

// VerdictError: there is no record of what cannot be believed.
type VerdictError struct{ Verdict smime.Verdict }

// Error gives the verdict and the reason of the first signer that has one.
func (e *VerdictError) Error() string {
	for _, s := range e.Verdict.Signers {
		if s.Status != smime.StatusValid {
			return fmt.Sprintf("the verdict is %s: %s: %s", e.Verdict.Verdict, s.Status, s.Reason)
		}
	}
	return fmt.Sprintf("the verdict is %s", e.Verdict.Verdict)
}

// MakeOptions say how much a record is to prove.
type MakeOptions struct {
	Options
	// Level is the highest level to reach, and with Insist one that must be
	// reached.
	Level  cades.Level
	Insist bool
	// Timestamp takes a request to a timestamp authority (RFC 3161); nil for none.
	Timestamp func(request []byte) (response []byte, err error)
	// Renew adds an archive timestamp over those that are there.
	Renew bool
	// Program names what makes the record.
	Program string
	// Rand is the source of nonces; nil stands for crypto/rand.
	Rand io.Reader
}

// Make writes a record of src to dst: it raises the signature as far as the
// options allow, judges it, and keeps what it took. The error is a
// [*VerdictError] for a signature that is not valid and a [*LevelError] when
// o.Level was insisted on and not reached; then dst has nothing.
func Make(dst io.Writer, src *Source, o *MakeOptions) (*Report, error) {
	if o.At.IsZero() {
		return nil, errors.New("evidence: Options.At is not set: a judgement holds for a time")
	}
	signature, found, err := cades.Raise(src.Signature, src.content, &cades.RaiseOptions{
		Options: o.cades(src.Message != nil), Level: o.Level, Timestamp: o.Timestamp, Renew: o.Renew, Rand: o.Rand,
	})
	if err != nil {
		return nil, err
	}
	verdict, err := src.verdict(signature, &o.Options)
	if err != nil {
		return nil, err
	}
	if verdict.Verdict != smime.Valid {
		return nil, &VerdictError{verdict}
	}
	raised := &Source{Message: src.Message, Content: src.Content, Signature: signature}
	r := newReport(raised, found, verdict, &o.Options)
	r.Program = o.Program
	if level, missing := lowest(found); o.Insist && level < o.Level {
		return nil, &LevelError{o.Level, level, missing}
	}
	reader, err := readSignature(signature, src.content(), nil)
	if err != nil {
		return nil, err
	}
	files, err := layOut(raised, reader, found)
	if err != nil {
		return nil, err
	}
	s := &sealing{report: r, files: files, found: found, message: reader, o: o, earlier: src.earlier}
	if files, err = s.all(); err != nil {
		return nil, err
	}
	return r, writeZIP(dst, files, o.At)
}

// AlteredError: what was altered is not made into another record.
type AlteredError struct{ Altered []string }

// Error says what was altered.
func (e *AlteredError) Error() string {
	return "the record was altered: " + strings.Join(e.Altered, "; ")
}

// Renew writes a new record of what is in r, as Make does, raised further or stamped
// once more. The manifest and its timestamp are carried on: they prove since when the
// mail is as it is. The error is an [*AlteredError] for a record that was altered.
func (r *Record) Renew(dst io.Writer, o *MakeOptions) (*Report, error) {
	found, err := r.Check(&o.Options)
	if err != nil {
		return nil, err
	}
	if len(found.Altered) > 0 {
		return nil, &AlteredError{found.Altered}
	}
	if len(r.seals) > MaxSeals {
		return nil, fmt.Errorf("the record was renewed %d times, and no more are read", MaxSeals)
	}
	src := r.Source
	for i, s := range r.seals {
		earlier := *s
		earlier.number = len(r.seals) - i
		src.earlier = append(src.earlier, &earlier)
	}
	return Make(dst, &src, o)
}

// lowest is the level of the signature that has least.
func lowest(found []*cades.Assessment) (level cades.Level, missing []string) {
	level = cades.BLTA
	for _, a := range found {
		if a.Level < level || missing == nil && a.Level == level {
			level, missing = a.Level, a.Missing
		}
	}
	return level, missing
}

// Check judges a record as of o.At. Whatever it says of itself, what was signed
// and the signature decide; Report.Altered names files that do not follow from
// them. The error is about a record that cannot be judged at all.
func (r *Record) Check(o *Options) (*Report, error) {
	if o.At.IsZero() {
		return nil, errors.New("evidence: Options.At is not set: a judgement holds for a time")
	}
	_, found, err := cades.Raise(r.Signature, r.content, &cades.RaiseOptions{Options: o.cades(r.Message != nil)})
	if err != nil && !errors.Is(err, cms.ErrSignature) {
		return nil, err
	}
	verdict, verr := r.verdict(r.Signature, o)
	if verr != nil && !errors.Is(verr, cms.ErrSignature) {
		return nil, verr
	}
	stated := *o
	stated.KeyOrigin = r.KeyOrigin
	report := newReport(&r.Source, found, verdict, &stated)
	if err != nil {
		report.Verdict.Verdict = smime.Invalid
		report.Altered = append(report.Altered, err.Error())
		return report, nil
	}
	reader, err := readSignature(r.Signature, r.content(), nil)
	if err != nil {
		return nil, err
	}
	files, err := layOut(&r.Source, reader, found)
	if err != nil {
		return nil, err
	}
	var f faults
	r.altered(&f, files)
	if err := r.exchanged(&f); err != nil {
		return nil, err
	}
	r.judgeSeals(&f, reader, o)
	report.addSeals(r.seals)
	report.Altered = f.said
	return report, nil
}

// KeyOrigin is what whoever made the record said of where the key of a signer's
// certificate was made; "" for nothing.
func (r *Record) KeyOrigin(c *cert.Certificate) string {
	var said Report
	if err := json.Unmarshal(r.Statement, &said); err != nil {
		return ""
	}
	for _, s := range said.Signers {
		if s.Certificate.SHA256 == c.SHA256() && s.KeyOrigin != OriginUnknown {
			return s.KeyOrigin
		}
	}
	return ""
}

// readSignature reads a detached signature to its end.
func readSignature(signature []byte, content io.Reader, certificates []*cert.Certificate) (*cms.SignedReader, error) {
	in, err := cms.NewReader(bytes.NewReader(signature), nil)
	if err != nil {
		return nil, err
	}
	s, err := in.SignedData(&cms.SignedOptions{Content: content, Certificates: certificates})
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, s); err != nil && s.Signers() == nil {
		return nil, err
	}
	return s, nil
}
