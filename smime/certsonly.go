package smime

import (
	"errors"
	"io"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
)

// WriteCertificates writes a certs-only message (RFC 8551 §3.8) to dst: certificates and revocation lists on their way by mail. The
// first size bytes of src are its header; there is no place for a text. Nobody signs such a message, so nothing may be learned from
// it that was not known before: [Open] calls it unsigned.
func WriteCertificates(dst io.Writer, src io.ReaderAt, size int64, certificates []*cert.Certificate, crls [][]byte) error {
	d, err := newDraft(src, size)
	if err != nil {
		return err
	}
	if blank, err := entity.IsBlank(d.body.Body()); err != nil || !blank {
		return errors.Join(err, &MalformedError{"message", errors.New("a certs-only message has no place for a text")})
	}
	return d.write(dst, func(w io.Writer) error {
		return writePKCS7(w, typeCertsOnly, func(dst io.Writer) (io.WriteCloser, error) {
			return identity{dst}, cms.CertsOnly(dst, certificates, crls)
		}, func(io.Writer) error { return nil })
	})
}
