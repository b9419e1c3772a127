package smime

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/ahead"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/oid"
)

// pkcs7 opens an entity whose body is a CMS object. What it is, the object says itself; smime-type is a hint for people (RFC 8551
// §3.2.2).
func (op *opener) pkcs7(e *entity.Entity, c classification) (*entity.Entity, error) {
	body := ahead.NewReader(cmsBody(e, c.encoding))
	defer body.Close()
	r, err := cms.NewReader(body, op.o.Limits)
	if err != nil && c.form == formNamed {
		return nil, nil // a file that happens to have such a name
	}
	claim := strings.ToLower(c.typ.Parameter("smime-type"))
	if err != nil {
		if strings.Contains(claim, "enveloped") || strings.Contains(claim, "compressed") {
			return nil, op.malformed(err)
		}
		op.addBroken(err)
		return nil, nil
	}
	op.checkClaim(claim, r.ContentType())
	switch r.ContentType() {
	case oid.SignedData:
		return op.opaque(r)
	case oid.EnvelopedData, oid.AuthEnvelopedData:
		return op.decrypt(r)
	case oid.CompressedData:
		return op.decompress(r)
	}
	if c.form == formNamed {
		return nil, nil
	}
	return nil, fmt.Errorf("%w: layer %d is %s", ErrUnsupported, len(op.layers)+1, r.ContentType().Name())
}

// checkClaim warns when the header promises another layer than the body has.
func (op *opener) checkClaim(claim string, is oid.OID) {
	fits := map[string]oid.OID{
		"signed-data": oid.SignedData, "certs-only": oid.SignedData, "enveloped-data": oid.EnvelopedData,
		"authenveloped-data": oid.AuthEnvelopedData, "compressed-data": oid.CompressedData,
	}
	if want, known := fits[claim]; known && want != is {
		op.warn("the header says %s, the message is %s", claim, is.Name())
	}
}

// decrypt opens EnvelopedData and AuthEnvelopedData. It is only reached for an entity that is the whole message or all that
// another layer holds: what stands beside other parts is never decrypted (Efail, CVE-2017-17688 and CVE-2017-17689).
func (op *opener) decrypt(r *cms.Reader) (*entity.Entity, error) {
	at := len(op.layers)
	op.layers = append(op.layers, openedLayer{Layer: Layer{Type: LayerEncrypted}})
	er, err := r.EnvelopedData(op.o.Keys)
	if er != nil {
		op.layers[at].Algorithm = er.Cipher().Algorithm.Name()
		op.layers[at].Recipients = len(er.Recipients())
	}
	if err != nil {
		return nil, op.decryptError(err)
	}
	if er.ContentType() != oid.Data {
		return nil, fmt.Errorf("%w: layer %d holds %s, not mail", ErrUnsupported, at+1, er.ContentType().Name())
	}
	if profile := op.o.Profile.orDefault(); er.Weak() && profile.refusesOld {
		return nil, fmt.Errorf("%w: %s in layer %d, which profile %s does not read", ErrOldCipher, op.layers[at].Algorithm, at+1, profile.Name)
	}
	if er.Weak() {
		op.warn("%s is broken: who wants to can read the message", op.layers[at].Algorithm)
	}
	spool, err := op.spool()
	if err != nil {
		return nil, err
	}
	if _, err := ahead.Copy(spool, er); err != nil {
		return nil, ErrDecrypt
	}
	op.layers[at].authenticated = er.Authenticated()
	inner, err := spool.entity()
	if err != nil {
		return nil, ErrDecrypt
	}
	return inner, nil
}

// decryptError says who cannot read the message, or that it cannot be read, and never why.
func (op *opener) decryptError(err error) error {
	switch {
	case errors.Is(err, cms.ErrNoRecipient):
		return ErrNoKey
	case errors.Is(err, cms.ErrDecrypt):
		return ErrDecrypt
	case errors.Is(err, cms.ErrUnsupported):
		return fmt.Errorf("%w: layer %d: %w", ErrUnsupported, len(op.layers), err)
	case errors.Is(err, cms.ErrMalformed):
		return &MalformedError{fmt.Sprintf("layer %d", len(op.layers)), err}
	}
	return ErrDecrypt
}
