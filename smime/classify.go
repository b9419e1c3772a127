package smime

import (
	"bytes"
	"io"
	"strings"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/oid"
)

// form is how an entity carries a layer (RFC 8551 §3.10).
type form int

const (
	formPlain form = iota
	formMultipartSigned
	formPKCS7
	// formNamed is application/octet-stream with a file name of S/MIME: perhaps a layer.
	formNamed
)

// classification is what the header of an entity says about its body.
type classification struct {
	form      form
	typ       entity.MediaType
	encoding  entity.Encoding
	ambiguous string // why the header is not believed; the form is plain then
}

// classify reads the header of an entity. A header that two readers could understand differently makes the entity a plain one: its
// signature would be shown by one of them and not by the other.
func classify(e *entity.Entity) classification {
	typ, err := e.ContentType()
	if err != nil {
		return classification{ambiguous: words(err)}
	}
	c := classification{typ: typ}
	if c.encoding, err = e.TransferEncoding(); err != nil {
		return classification{typ: typ, ambiguous: words(err)}
	}
	c.form = formOf(typ, e.Header)
	return c
}

func formOf(typ entity.MediaType, h entity.Header) form {
	switch typ.Type {
	case "multipart/signed":
		if p := protocol(typ); p != "" && !isSignatureType(p) && !isPKCS7Type(p) {
			return formPlain // OpenPGP, for one
		}
		return formMultipartSigned
	case "application/octet-stream":
		if hasSMIMEName(typ, h) {
			return formNamed
		}
	}
	if isPKCS7Type(typ.Type) || isSignatureType(typ.Type) {
		return formPKCS7
	}
	return formPlain
}

// protocol is the parameter by which multipart/signed names the type of its signature (RFC 1847 §2.1).
func protocol(typ entity.MediaType) string {
	return strings.ToLower(strings.TrimSpace(typ.Parameter("protocol")))
}

// carriesSignature tells whether the second part of a multipart/signed has a type that S/MIME signatures come under: its own, that of
// other messages, or, if the protocol is named, none that means anything.
func carriesSignature(second classification, protocol string) bool {
	return second.form == formPKCS7 || second.form == formNamed || protocol != "" && second.typ.Type == "application/octet-stream"
}

// isPKCS7Type knows the name of RFC 8551 §3.2 and the one from before its registration.
func isPKCS7Type(t string) bool {
	return t == "application/pkcs7-mime" || t == "application/x-pkcs7-mime"
}

// isSignatureType knows the name of RFC 8551 §3.5.3.1 and the one from before its registration.
func isSignatureType(t string) bool {
	return t == "application/pkcs7-signature" || t == "application/x-pkcs7-signature"
}

// hasSMIMEName looks for the file names of RFC 8551 §3.2.1.
func hasSMIMEName(typ entity.MediaType, h entity.Header) bool {
	disposition, err := h.Disposition()
	if err != nil {
		return false
	}
	for _, name := range []string{typ.Parameter("name"), disposition.Parameter("filename")} {
		name = strings.ToLower(name)
		for _, suffix := range []string{".p7m", ".p7s", ".p7c", ".p7z"} {
			if strings.HasSuffix(name, suffix) {
				return true
			}
		}
	}
	return false
}

// cmsBody gives the bytes of a CMS object that is an entity's body: decoded as the header says, and where the header says nothing
// of an encoding and the body is plainly base64, decoded all the same (senders forget the field; BER never looks like base64).
func cmsBody(e *entity.Entity, enc entity.Encoding) io.Reader {
	if enc.Identity() && isBase64Text(e.Body()) {
		enc = entity.Base64
	}
	return decodeBody(e.Body(), enc)
}

// isBase64Text tells whether the first bytes are base64: a CMS object begins with a SEQUENCE, so its base64 begins with M.
func isBase64Text(r io.Reader) bool {
	var room [64]byte
	n, _ := io.ReadFull(r, room[:])
	head := bytes.TrimLeft(room[:n], " \t\r\n")
	if len(head) == 0 || head[0] != 'M' {
		return false
	}
	for _, c := range head {
		if c < ' ' && c != '\r' && c != '\n' && c != '\t' || c > '~' {
			return false
		}
	}
	return true
}

// isBareCMS tells whether content without any header is a CMS object: some programs encrypt a signature without giving it the
// header of a MIME entity.
func isBareCMS(e *entity.Entity) bool {
	if len(e.Header.Fields) > 0 || e.Body().Size() != e.Raw().Size() {
		return false
	}
	head := make([]byte, 1)
	n, _ := e.Body().ReadAt(head, 0)
	return n == 1 && head[0] == 0x30
}

// contentTypeOf looks into a part for the kind of CMS object that it is; "" if it is none or another.
func contentTypeOf(e *entity.Entity, c classification) LayerType {
	r, err := cms.NewReader(cmsBody(e, c.encoding), nil)
	if err != nil {
		return ""
	}
	switch r.ContentType() {
	case oid.SignedData:
		return LayerSigned
	case oid.EnvelopedData, oid.AuthEnvelopedData:
		return LayerEncrypted
	}
	return ""
}
