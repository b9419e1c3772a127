package recovery

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
)

// Limits of what is read. A P-521 key has 250 octets, an RSA-16384 key 9 kB; an
// envelope for an RSA-16384 certificate has 3 kB.
const (
	MaxSealed   = 64 << 10
	MaxEnvelope = 16 << 10
	secretSize  = 32
)

// errEnvelope is one for all causes that lie in the bytes.
var errEnvelope = errors.New("recovery: not an envelope")

// content is what the envelope of a share holds, as JSON. It says which share it
// is, so that one put in the place of another is noticed where it is opened.
type content struct {
	Key      string `json:"key"`              // SHA-256 of the SubjectPublicKeyInfo, hexadecimal
	Position int    `json:"position"`         // whose it is
	Origin   int    `json:"origin,omitempty"` // of the officer before who gave it
	For      string `json:"for,omitempty"`    // the request or quorum that it was given for
	Share    []byte `json:"share"`
}

// reader makes a recipient of who has a certificate. RSAES-OAEP (RFC 8017 §7.1),
// because mailseal reads it on both ends.
func reader(c *cert.Certificate) (*cms.Recipient, error) {
	return cms.NewRecipient(c, &cms.RecipientOptions{OAEP: crypto.SHA256})
}

// envelop encrypts a plaintext into an AuthEnvelopedData.
func envelop(rand io.Reader, to *cms.Recipient, plain []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := cms.Encrypt(&b, []*cms.Recipient{to}, &cms.EncryptOptions{
		Cipher: cms.AES256GCM, Rand: rand, Length: int64(len(plain)), HasLength: true,
	})
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// envelopShare encrypts a share to who has a certificate.
func envelopShare(rand io.Reader, to *cms.Recipient, c content) ([]byte, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return envelop(rand, to, plain)
}

// disclose decrypts an envelope.
func disclose(envelope []byte, limit int, keys []*cms.RecipientKey) ([]byte, error) {
	if len(envelope) > limit {
		return nil, fmt.Errorf("%w: more than %d octets", errEnvelope, limit)
	}
	e, err := enveloped(envelope, keys)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(e)
}

// discloseShare decrypts a share and holds it against what it should be; origin
// and purpose as in content.
func discloseShare(envelope []byte, keys []*cms.RecipientKey, want content) (share, error) {
	plain, err := disclose(envelope, MaxEnvelope, keys)
	if err != nil {
		return share{}, err
	}
	defer clear(plain)
	var c content
	if err := strictly(plain, &c); err != nil {
		return share{}, fmt.Errorf("%w: %w", errEnvelope, err)
	}
	value := c.Share
	if c.Share = nil; c.Key != want.Key || c.Position != want.Position || c.Origin != want.Origin || c.For != want.For {
		return share{}, errors.New("recovery: a share of another key, officer or request stands in its place")
	}
	if len(value) != secretSize {
		return share{}, fmt.Errorf("%w: a share of %d octets", errEnvelope, len(value))
	}
	return share{byte(want.Position), value}, nil
}

// enveloped begins to read an envelope of either type: a browser may have only
// the older one, and then what is inside shows whether it was changed.
func enveloped(envelope []byte, keys []*cms.RecipientKey) (*cms.EnvelopedReader, error) {
	r, err := cms.NewReader(bytes.NewReader(envelope), &cms.Limits{Recipients: 1, Metadata: MaxSealed})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errEnvelope, err)
	}
	if t := r.ContentType(); t != oid.AuthEnvelopedData && t != oid.EnvelopedData {
		return nil, fmt.Errorf("%w: it is %s", errEnvelope, t.Name())
	}
	e, err := r.EnvelopedData(keys)
	if e == nil && err != nil && !errors.Is(err, cms.ErrNoRecipient) {
		err = fmt.Errorf("%w: %w", errEnvelope, err)
	}
	return e, err
}

// recipient returns the one recipient of an envelope.
func recipient(envelope []byte, limit int) (cms.RecipientInfo, error) {
	if len(envelope) > limit {
		return cms.RecipientInfo{}, fmt.Errorf("%w: more than %d octets", errEnvelope, limit)
	}
	e, err := enveloped(envelope, nil)
	if !errors.Is(err, cms.ErrNoRecipient) || e == nil || len(e.Recipients()) != 1 {
		return cms.RecipientInfo{}, fmt.Errorf("%w for one recipient", errEnvelope)
	}
	if e.Weak() {
		return cms.RecipientInfo{}, fmt.Errorf("%w: its cipher is weak", errEnvelope)
	}
	return e.Recipients()[0], nil
}

// whole refuses an envelope of which a piece is missing, or that is not DER: the
// key would be lost, and that would show on the day it is needed.
func whole(envelope []byte) error {
	in := cryptobyte.String(envelope)
	var info, tagged, data, content cryptobyte.String
	var contentType, version, ciphertext cryptobyte.String
	ok := in.ReadASN1(&info, asn1.SEQUENCE) && in.Empty() && info.ReadASN1(&contentType, asn1.OBJECT_IDENTIFIER) &&
		info.ReadASN1(&tagged, asn1.Tag(0).ContextSpecific().Constructed()) && info.Empty() &&
		tagged.ReadASN1(&data, asn1.SEQUENCE) && tagged.Empty() &&
		data.ReadASN1(&version, asn1.INTEGER) && data.SkipASN1(asn1.SET) && data.ReadASN1(&content, asn1.SEQUENCE) &&
		content.SkipASN1(asn1.OBJECT_IDENTIFIER) && content.SkipASN1(asn1.SEQUENCE) &&
		content.ReadASN1(&ciphertext, asn1.Tag(0).ContextSpecific()) && content.Empty() && len(ciphertext) >= secretSize
	if !ok {
		return fmt.Errorf("%w in DER, or not all of it", errEnvelope)
	}
	if data.Empty() { // EnvelopedData
		return nil
	}
	var mac cryptobyte.String // RFC 5083 §2.1; RFC 5084 §3.2 has it of 12 to 16 octets
	if !data.ReadASN1(&mac, asn1.OCTET_STRING) || !data.Empty() || len(mac) < 12 {
		return fmt.Errorf("%w: what it is authenticated with is missing", errEnvelope)
	}
	return nil
}

// addressed refuses an envelope that is not for the holder of a certificate
// alone.
func addressed(envelope []byte, c *cert.Certificate) error {
	to, err := recipient(envelope, MaxEnvelope)
	if err == nil {
		err = whole(envelope)
	}
	if err != nil {
		return err
	}
	switch to.Kind {
	case "ktri", "kari", "kemri":
		if to.Recipient.Matches(c) {
			return nil
		}
	}
	return fmt.Errorf("%w: it is not for the certificate of %s", errEnvelope, c.Subject)
}

func keyName(hash []byte) string { return hex.EncodeToString(hash) }

// strictly reads one JSON value with known members only.
func strictly(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}
