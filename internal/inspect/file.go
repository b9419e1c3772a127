package inspect

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
)

// maxObject is the largest file that is read whole: everything but messages and CMS.
const maxObject = 64 << 20

// maxObjects is how many PEM blocks of one file are explained.
const maxObjects = 10000

// ErrUnknown is returned for a file that is none of the formats.
var ErrUnknown = errors.New("neither a mail nor any format of certificates, keys or CMS")

// Options are what [File] may use.
type Options struct {
	// Passphrase is called when a PKCS#12 file or private key is encrypted. Nil:
	// say that it is encrypted, and no more.
	Passphrase func() ([]byte, error)
}

// File explains the first size bytes of src. The error wraps [ErrUnknown] for a file
// of no known format, and says where a known one breaks.
func File(src io.ReaderAt, size int64, o *Options) (*Report, error) {
	if o == nil {
		o = &Options{}
	}
	head := make([]byte, min(size, 1024))
	if _, err := src.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case len(head) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrUnknown)
	case isContentInfo(head):
		return cmsReport(io.NewSectionReader(src, 0, size))
	case head[0] == 0x30 || bytes.Contains(head, pemBegin):
		return object(src, size, o)
	}
	r, err := message(src, size)
	if errors.Is(err, ErrUnknown) && size <= maxObject {
		// PEM may stand below any amount of text, as `openssl x509 -text` writes it.
		if r, err := object(src, size, o); err == nil {
			return r, nil
		}
	}
	return r, err
}

var pemBegin = []byte("-----BEGIN ")

// object reads a file whole that is DER or PEM.
func object(src io.ReaderAt, size int64, o *Options) (*Report, error) {
	if size > maxObject {
		return nil, fmt.Errorf("%w: %d MiB of DER or PEM", ErrUnknown, size>>20)
	}
	data := make([]byte, size)
	if _, err := src.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if data[0] == 0x30 {
		return der(data, o)
	}
	return pemFile(data, o)
}

// pemFile explains each block; a file with one block is that block.
func pemFile(data []byte, o *Options) (*Report, error) {
	all := &Report{Kind: "pem file"}
	var fault error
	for n := 1; ; n++ {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if n > maxObjects {
			return nil, fmt.Errorf("more than %d PEM blocks", maxObjects)
		}
		part, err := pemBlock(block, o)
		if errors.Is(err, identity.ErrPassphrase) {
			return nil, err // the caller may know another
		}
		if err != nil {
			// One block that cannot be explained does not hide the others.
			part = &Report{Kind: "pem block"}
			part.add("label", block.Type)
			part.add("fault", err.Error())
			fault = err
		}
		all.Parts = append(all.Parts, part)
		data = rest
	}
	switch len(all.Parts) {
	case 0:
		return nil, fmt.Errorf("%w: no PEM block can be read", ErrUnknown)
	case 1:
		if fault != nil {
			return nil, fmt.Errorf("%s: %w", all.Parts[0].Facts[0].Value, fault)
		}
		return all.Parts[0], nil
	}
	return all, nil
}

// pemBlock explains one block as what its label says it is (RFC 7468).
func pemBlock(block *pem.Block, o *Options) (*Report, error) {
	if block.Headers["DEK-Info"] != "" { // RFC 1421 §4.6.1.3: only the whole block says how it is encrypted
		return privateKey(pem.EncodeToMemory(block), o)
	}
	switch label := block.Type; {
	case label == "CERTIFICATE", label == "X509 CERTIFICATE":
		return explained(certificate)(cert.Parse(block.Bytes))
	case label == "TRUSTED CERTIFICATE":
		return trustedCertificate(block.Bytes)
	case label == "CERTIFICATE REQUEST", label == "NEW CERTIFICATE REQUEST":
		return explained(request)(cert.ParseRequest(block.Bytes))
	case label == "X509 CRL":
		return explained(crl)(cert.ParseCRL(block.Bytes))
	case label == "PUBLIC KEY":
		return publicKey(block.Bytes)
	case strings.HasSuffix(label, "PRIVATE KEY"):
		return privateKey(block.Bytes, o)
	case isContentInfo(block.Bytes):
		return cmsReport(bytes.NewReader(block.Bytes))
	case len(block.Bytes) > 0 && block.Bytes[0] == 0x30:
		return der(block.Bytes, o)
	}
	return nil, ErrUnknown
}

// explained makes a report of what a parser returned.
func explained[T any](report func(T) *Report) func(T, error) (*Report, error) {
	return func(v T, err error) (*Report, error) {
		if err != nil {
			return nil, err
		}
		return report(v), nil
	}
}

// trustedCertificate explains OpenSSL's own form: a certificate, and behind it
// what its holder trusts it for.
func trustedCertificate(data []byte) (*Report, error) {
	s := cryptobyte.String(data)
	var element cryptobyte.String
	if !s.ReadASN1Element(&element, asn1.SEQUENCE) {
		return nil, ErrUnknown
	}
	r, err := explained(certificate)(cert.Parse(element))
	if err == nil {
		r.add("note", "OpenSSL's trust settings behind it are not explained")
	}
	return r, err
}

// der finds out which of the SEQUENCEs it is by reading it as each. The structures
// are so unlike that no file is two of them.
func der(data []byte, o *Options) (*Report, error) {
	if isPKCS12(data) {
		return pkcs12(data, o)
	}
	if isOCSPResponse(data) {
		return ocspResponse(data)
	}
	if c, err := cert.Parse(data); err == nil {
		return certificate(c), nil
	}
	if l, err := cert.ParseCRL(data); err == nil {
		return crl(l), nil
	}
	if q, err := cert.ParseRequest(data); err == nil {
		return request(q), nil
	}
	r, err := privateKey(data, o)
	if errors.Is(err, identity.ErrMalformed) {
		return nil, ErrUnknown
	}
	return r, err
}

// isContentInfo recognizes CMS (RFC 5652 §3) by what follows the SEQUENCE's header:
// an object identifier, where certificates, CRLs and requests have a SEQUENCE and
// PKCS#12 and keys an INTEGER.
func isContentInfo(data []byte) bool { return afterHeader(data, 0x06) }

// isPKCS12 recognizes version 3 of a PFX (RFC 7292 §4).
func isPKCS12(data []byte) bool { return afterHeader(data, 0x02, 0x01, 0x03) }

// isOCSPResponse recognizes an OCSPResponse by its first member, an ENUMERATED
// (RFC 6960 §4.2.1).
func isOCSPResponse(data []byte) bool { return afterHeader(data, 0x0a, 0x01) }

// afterHeader says whether data is a SEQUENCE, in DER or BER, that begins so.
func afterHeader(data []byte, want ...byte) bool {
	if len(data) < 2 || data[0] != 0x30 {
		return false
	}
	at := 2
	if data[1] > 0x80 {
		at += int(data[1] & 0x7f)
	}
	return at < len(data) && bytes.HasPrefix(data[at:], want)
}
