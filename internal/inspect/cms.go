package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
)

// cmsReport explains a CMS file (RFC 5652) that stands alone.
func cmsReport(src io.ReadSeeker) (*Report, error) {
	r, err := cmsObject(src, nil, false)
	if !errors.Is(err, cms.ErrMalformed) {
		return r, err
	}
	// It may be a detached signature without what it signs: read it once more, with
	// no content in that place.
	if _, seekErr := src.Seek(0, io.SeekStart); seekErr != nil {
		return nil, seekErr
	}
	if r, again := cmsObject(src, bytes.NewReader(nil), true); again == nil {
		return r, nil
	}
	return nil, err
}

// cmsObject explains a CMS object. content is what a detached signature is over, and
// missing says that it only stands in for what is not here.
func cmsObject(src, content io.Reader, missing bool) (*Report, error) {
	in, err := cms.NewReader(src, nil)
	if err != nil {
		return nil, err
	}
	r := &Report{Kind: "cms"}
	r.add("content_type", in.ContentType().Name())
	switch in.ContentType() {
	case oid.SignedData:
		err = signed(r, in, content, missing)
	case oid.EnvelopedData, oid.AuthEnvelopedData:
		err = enveloped(r, in)
	default:
		r.add("note", "this kind is not explained further")
	}
	return r, err
}

// signed explains SignedData. Whether a signature fits its content is arithmetic and
// is said; whose it is, only verify can say.
func signed(r *Report, in *cms.Reader, content io.Reader, missing bool) error {
	s, err := in.SignedData(&cms.SignedOptions{Content: content})
	if err != nil {
		return err
	}
	detached := s.Detached()
	size, err := io.Copy(io.Discard, s)
	results := s.Signers()
	if err != nil && results == nil {
		return err
	}
	r.add("detached", detached)
	r.add("inner_type", s.ContentType().Name())
	if !detached {
		r.add("content_size", size)
	}
	r.add("crls", int64(len(s.CRLs())))
	for _, result := range results {
		r.Parts = append(r.Parts, signer(&result, missing))
	}
	for _, c := range s.Certificates() {
		r.Parts = append(r.Parts, certificate(c))
	}
	return nil
}

func signer(s *cms.SignerResult, contentMissing bool) *Report {
	r := &Report{Kind: "signer"}
	if contentMissing {
		r.add("fits", "not known: the content that it signs is not here")
	} else {
		r.add("fits", fits(s.Err))
	}
	r.add("certificate", s.SID.String())
	r.add("algorithm", s.Algorithm)
	r.add("weak", s.Weak)
	r.add("signing_time", stamp(s.SigningTime))
	r.add("signed_attributes", attributes(s.SignedAttrs))
	r.add("unsigned_attributes", attributes(s.UnsignedAttrs))
	r.add("capabilities", capabilities(s.Capabilities))
	r.add("notes", s.Notes)
	r.Parts = unsigned(s)
	return r
}

// fits says whether a signature is one of what it is said to be over.
func fits(err error) string {
	switch {
	case errors.Is(err, cms.ErrSignature):
		return "no: " + err.Error()
	case err != nil:
		return "not known: " + err.Error()
	}
	return "yes"
}

func attributes(all cms.Attributes) []string {
	var ids []oid.OID
	for _, a := range all {
		ids = append(ids, a.Type)
	}
	return names(ids)
}

func capabilities(all []cms.Capability) []string {
	var ids []oid.OID
	for _, c := range all {
		ids = append(ids, c.Algorithm)
	}
	return names(ids)
}

// maxRecipients is how many recipients are listed by name.
const maxRecipients = 100

// enveloped explains EnvelopedData and AuthEnvelopedData: for whom, and how. Nothing
// is decrypted.
func enveloped(r *Report, in *cms.Reader) error {
	e, err := in.EnvelopedData(nil)
	if err != nil && !errors.Is(err, cms.ErrNoRecipient) {
		return err
	}
	r.add("cipher", e.Cipher().Algorithm.Name())
	r.add("authenticated", e.Authenticated())
	r.add("weak", e.Weak())
	r.add("inner_type", e.ContentType().Name())
	all := e.Recipients()
	r.add("recipient_count", int64(len(all)))
	var list []string
	for i, recipient := range all {
		if i == maxRecipients {
			list = append(list, fmt.Sprintf("and %d more", len(all)-maxRecipients))
			break
		}
		list = append(list, strings.TrimSpace(recipient.Kind+" "+recipient.Algorithm.Algorithm.Name()+" "+recipientName(recipient)))
	}
	r.add("recipients", list)
	return nil
}

// recipientName names the certificate, for the kinds of recipient that have one.
func recipientName(i cms.RecipientInfo) string {
	if i.Recipient.RawIssuer == nil && len(i.Recipient.SubjectKeyID) == 0 {
		return ""
	}
	return i.Recipient.String()
}
