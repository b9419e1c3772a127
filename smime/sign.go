package smime

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/ahead"
	"github.com/mailseal/mailseal/internal/entity"
)

// SignOptions say who signs, and how.
type SignOptions struct {
	// Signers are one or more, all over the same content.
	Signers []*cms.Signer
	// Opaque puts the content into the signature (application/pkcs7-mime), where no relay can touch it and no program without
	// S/MIME can read it. The default is multipart/signed, which everybody can read.
	Opaque bool
	// Detached makes [Seal] use multipart/signed inside the encryption; its default is opaque, which is smaller. Other functions
	// ignore it.
	Detached bool
	// Time is the signing time, and becomes the message's Date if it has none. Programs refuse a signature when Date and
	// signing time are an hour or more apart, so a Date that is more than 55 minutes from it is a [DateError].
	Time time.Time
	// Redate puts the signing time in place of such a Date, and Redated, if not nil, is told which one that was; its zero is one that
	// nobody can read.
	Redate  bool
	Redated func(old time.Time)
	// Headers, if not "", protects the header too (RFC 9788): a copy of it is signed. Nothing is hidden, whatever the policy, unless
	// the message is encrypted as well, by [Seal], which asks EncryptOptions.
	Headers HeaderPolicy
	// Profile decides about algorithms; nil is compat.
	Profile *Profile
	// Capabilities are what the signer can read; nil is what the profile says.
	Capabilities []cms.Capability
	// Receipt, if not nil, asks those who read the message for a signed receipt (RFC 2634 §2).
	Receipt *ReceiptRequest
	// Timestamp, if not nil, has each signature stamped (RFC 3161); see cms.SignOptions. It decides when the signature was made, should
	// the certificate end before the message is read.
	Timestamp func(request []byte) (response []byte, err error)
	// Rand is the source of the boundary and of signatures' nonces; nil is crypto/rand.
	Rand io.Reader
}

// Sign writes the message of the first size bytes of src to dst, signed (RFC 8551 §3.5).
//
// The header stays outside as it is, except that the fields that describe the body (Content-Type and its family) move into the
// signed entity and Bcc is dropped. The signed entity is made safe for every relay first: parts in 8-bit or binary, with endless
// lines, trailing white space or "From " at a line's start are re-encoded, all others keep their bytes. Line ends become CRLF.
func Sign(dst io.Writer, src io.ReaderAt, size int64, o *SignOptions) error {
	if o == nil {
		return errNobodySigns
	}
	d, err := newDraft(src, size)
	if err != nil {
		return err
	}
	if err := d.date(o.Time, o.Redate, o.Redated); err != nil {
		return err
	}
	if err := d.protect(o.Headers, false, nil); err != nil {
		return err
	}
	signed, err := signedEntity(d.writeEntity, o)
	if err != nil {
		return err
	}
	return d.write(dst, signed)
}

var errNobodySigns = errors.New("smime: nobody signs: SignOptions.Signers is empty")

// write puts the protected entity below the outer header.
func (d *draft) write(dst io.Writer, protected entityWriter) error {
	w := newBuffer(dst)
	defer giveBack(w)
	if err := writeFields(w, d.outer); err != nil {
		return err
	}
	_, _ = w.WriteString("MIME-Version: 1.0\r\n")
	if err := protected(w); err != nil {
		return err
	}
	return w.Flush()
}

// signedEntity puts a signature around content.
func signedEntity(content entityWriter, o *SignOptions) (entityWriter, error) {
	if o == nil || len(o.Signers) == 0 {
		return nil, errNobodySigns
	}
	signers, err := o.Profile.orDefault().signers(o.Signers)
	if err != nil {
		return nil, err
	}
	options := &cms.SignOptions{Detached: !o.Opaque, Time: o.Time, Capabilities: o.capabilities(), Timestamp: o.Timestamp, Rand: o.Rand}
	if options.Attributes, err = o.Receipt.attribute(); err != nil {
		return nil, err
	}
	if o.Opaque {
		return opaqueEntity(content, signers, options), nil
	}
	return multipartSigned(content, signers, options)
}

// capabilities are what the signature says that its makers read.
func (o *SignOptions) capabilities() []cms.Capability {
	if o.Capabilities != nil {
		return o.Capabilities
	}
	return o.Profile.orDefault().capabilities
}

// opaqueEntity is RFC 8551 §3.5.2.
func opaqueEntity(content entityWriter, signers []*cms.Signer, o *cms.SignOptions) entityWriter {
	return func(w io.Writer) error {
		return writePKCS7(w, typeSigned, func(dst io.Writer) (io.WriteCloser, error) { return cms.Sign(dst, signers, o) }, content)
	}
}

// multipartSigned is RFC 8551 §3.5.3. The content is written and hashed at once; micalg stands in front of it, which is why a
// signer's digest is fixed beforehand.
func multipartSigned(content entityWriter, signers []*cms.Signer, o *cms.SignOptions) (entityWriter, error) {
	micalg, err := cms.Micalg(signers)
	if err != nil {
		return nil, fmt.Errorf("smime: sign: %w", err)
	}
	boundary, err := newBoundary(o.Rand)
	if err != nil {
		return nil, err
	}
	return func(w io.Writer) error {
		writeStrings(w, "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n\tmicalg=", entity.ParameterValue(micalg),
			"; boundary=\"", boundary, "\"\r\n\r\nThis is an S/MIME signed message\r\n\r\n--", boundary, "\r\n")
		armour := entity.NewBase64Writer(w) // of the signature, which is written when it is made: behind the content
		hash, err := cms.Sign(armour, signers, o)
		if err != nil {
			return fmt.Errorf("smime: sign: %w", err)
		}
		behind := ahead.NewWriter(hash)
		err = content(io.MultiWriter(w, behind))
		if err = errors.Join(err, behind.Close()); err != nil {
			return err
		}
		writeStrings(w, "\r\n--", boundary, "\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"+
			"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7s\"\r\n"+
			"Content-Description: S/MIME Cryptographic Signature\r\n\r\n")
		if err := hash.Close(); err != nil {
			return fmt.Errorf("smime: sign: %w", err)
		}
		if err := armour.Close(); err != nil {
			return err
		}
		writeStrings(w, "\r\n--", boundary, "--\r\n")
		return nil
	}, nil
}

// writePKCS7 writes content as an application/pkcs7-mime entity (RFC 8551 §3.2), through the CMS layer that open makes.
func writePKCS7(w io.Writer, smimeType string, open func(io.Writer) (io.WriteCloser, error), content entityWriter) error {
	name := fileName(smimeType)
	fmt.Fprintf(w, "Content-Type: application/pkcs7-mime; smime-type=%s;\r\n\tname=%q\r\n"+
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=%q\r\n"+
		"Content-Description: S/MIME Message\r\n\r\n", smimeType, name, name)
	armour := entity.NewBase64Writer(w)
	behind := ahead.NewWriter(armour)
	defer behind.Close()
	layer, err := open(behind)
	if err != nil {
		return fmt.Errorf("smime: %s: %w", smimeType, err)
	}
	buffered := newBuffer(layer)
	defer giveBack(buffered)
	if err := content(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("smime: %s: %w", smimeType, err)
	}
	if err := layer.Close(); err != nil {
		return fmt.Errorf("smime: %s: %w", smimeType, err)
	}
	if err := behind.Close(); err != nil {
		return err
	}
	return armour.Close()
}

// fileName is RFC 8551 §3.2.1's, by which programs know the kind of a file whose media type was lost.
func fileName(smimeType string) string {
	switch smimeType {
	case typeCompressed:
		return "smime.p7z"
	case typeCertsOnly:
		return "smime.p7c"
	}
	return "smime.p7m"
}

// The values of the smime-type parameter (RFC 8551 §3.2.2).
const (
	typeSigned        = "signed-data"
	typeEnveloped     = "enveloped-data"
	typeAuthEnveloped = "authEnveloped-data"
	typeCompressed    = "compressed-data"
	typeCertsOnly     = "certs-only"
)

// newBoundary is one that neither base64 nor quoted-printable can contain (RFC 2045 §6.7) and that nobody can guess.
func newBoundary(random io.Reader) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("smime: random boundary: %w", err)
	}
	return string(hex.AppendEncode(append(make([]byte, 0, 34), "=_"...), b[:])), nil
}
