package inspect

import (
	"encoding/hex"
	"fmt"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// maxStatuses is how many answers of one OCSP response are listed.
const maxStatuses = 100

// ocspResponse explains OCSPResponse (RFC 6960 §4.2.1). Its signature is not
// checked: whose word counts for which certificate is what verify finds out.
func ocspResponse(data []byte) (*Report, error) {
	response, err := cert.ParseOCSPResponse(data)
	if err != nil {
		return nil, err
	}
	r := &Report{Kind: "ocsp response"}
	r.add("status", response.Status.String())
	switch basic := response.Basic; {
	case basic != nil:
		basicResponse(r, basic)
	case response.Type != "":
		r.add("type", response.Type.Name())
		r.add("note", "this type is not explained further")
	}
	return r, nil
}

func basicResponse(r *Report, b *cert.BasicOCSPResponse) {
	responder := b.ResponderName.String()
	if b.ResponderKeyHash != nil {
		responder = "key " + hex.EncodeToString(b.ResponderKeyHash)
	}
	r.add("responder", responder)
	r.add("produced_at", stamp(b.ProducedAt))
	var list []string
	for i := range b.Answers[:min(len(b.Answers), maxStatuses)] {
		list = append(list, ocspAnswer(&b.Answers[i]))
	}
	if more := len(b.Answers) - maxStatuses; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	r.add("answer_count", int64(len(b.Answers)))
	r.add("answers", list)
	if b.Nonce != nil {
		r.add("nonce", hex.EncodeToString(b.Nonce))
	}
	r.add("signature", signature.Name(b.SignatureAlgorithm, oid.AlgorithmIdentifier{}))
	for _, d := range b.Defects {
		r.add("fault", d.Error())
	}
	for _, c := range b.Certificates[:min(len(b.Certificates), maxParts)] {
		r.Parts = append(r.Parts, certificate(c))
	}
}

// ocspAnswer explains SingleResponse in one line.
func ocspAnswer(a *cert.OCSPAnswer) string {
	status := a.Status.String()
	if a.Status == cert.OCSPRevoked {
		status = fmt.Sprintf("revoked at %s, %s", stamp(a.RevokedAt), a.Reason)
	}
	id := &a.CertID
	line := fmt.Sprintf("%s of issuer key %s %s: %s, as of %s", id.Serial.Text(16),
		id.HashAlgorithm.Algorithm.Name(), hex.EncodeToString(id.IssuerKeyHash), status, stamp(a.ThisUpdate))
	if !a.NextUpdate.IsZero() {
		line += " until " + stamp(a.NextUpdate)
	}
	return line
}
