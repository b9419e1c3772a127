package evidence

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"slices"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
)

// The names of the files of a record.
const (
	readmeName       = "README.txt"
	verdictName      = "verdict.json"
	messageName      = "message.eml"
	mailContentName  = "content.eml"
	fileContentName  = "content.bin"
	signatureName    = "signature.p7s"
	certificatesName = "certificates.pem"
	anchorsName      = "anchors.pem"
)

// file is one of a record.
type file struct {
	name string
	what string
	data []byte            // nil for one that is read from section
	from *io.SectionReader // what was signed, or the mail
}

func (f *file) open() io.Reader {
	if f.from != nil {
		return io.NewSectionReader(f.from, 0, f.from.Size())
	}
	return bytes.NewReader(f.data)
}

// contentName is that of what was signed.
func (s *Source) contentName() string {
	if s.Message != nil {
		return mailContentName
	}
	return fileContentName
}

// layOut is the files that follow from what was signed and the signature, and
// these two, which reader has read: the same for the same record, whenever and by whomever it is asked.
func layOut(s *Source, reader *cms.SignedReader, found []*cades.Assessment) ([]file, error) {
	var files []file
	add := func(name, what string, data []byte) { files = append(files, file{name: name, what: what, data: data}) }
	if s.Message != nil {
		files = append(files, file{name: messageName, what: "the mail as it is", from: s.Message})
	}
	files = append(files, file{name: s.contentName(), what: "what was signed, octet for octet", from: s.Content})
	add(signatureName, "the signatures (CMS SignedData in DER), with timestamps, certificates and revocation information", s.Signature)
	add(certificatesName, "all certificates of the signature and of its timestamps", pems(certificates(reader, found)))
	for i, crl := range reader.CRLs() {
		add(fmt.Sprintf("crl-%d.crl", i+1), "revocation list", crl)
	}
	for i, response := range reader.OCSPResponses() {
		add(fmt.Sprintf("ocsp-%d.der", i+1), "OCSP response", response)
	}
	for i, a := range found {
		n := i + 1
		signer := a.Signer()
		add(fmt.Sprintf("signature-value-%d.bin", n), fmt.Sprintf("the value of signature %d, which its timestamps are over", n), signer.Signature)
		if signer.Certificate != nil {
			add(fmt.Sprintf("signer-%d.pem", n), fmt.Sprintf("the certificate that belongs to signature %d", n), signer.Certificate.PEM())
		}
		if issuer := issuerOf(signer.Certificate, reader); issuer != nil && len(reader.OCSPResponses()) > 0 {
			add(fmt.Sprintf("issuer-%d.pem", n), "the certificate of its issuer, of which OCSP responses speak", issuer.PEM())
		}
		for j, stamp := range a.Timestamps {
			response, err := cms.TimestampResponse(stamp.Token)
			if err != nil {
				return nil, err
			}
			add(fmt.Sprintf("timestamp-%d-%d.tsr", n, j+1), fmt.Sprintf("timestamp of signature %d", n), response)
		}
		for j, stamp := range a.Archive {
			response, err := cms.TimestampResponse(stamp.Token)
			if err != nil {
				return nil, err
			}
			add(fmt.Sprintf("archive-%d-%d.tsr", n, j+1), fmt.Sprintf("archive timestamp of signature %d", n), response)
			if stamped := stamp.Archives().Stamped; stamped != nil {
				add(fmt.Sprintf("archive-%d-%d.bin", n, j+1), "what that archive timestamp is over (ETSI EN 319 122-1, 5.5.3)", stamped)
			}
		}
	}
	return files, nil
}

// issuerOf finds the certificate of c's issuer in the message.
func issuerOf(c *cert.Certificate, s *cms.SignedReader) *cert.Certificate {
	for _, issuer := range s.Certificates() {
		if c != nil && issuer.Subject.Equal(c.Issuer) && c.CheckSignatureFrom(issuer) == nil {
			return issuer
		}
	}
	return nil
}

// certificates are those of the message and of the tokens, each once.
func certificates(s *cms.SignedReader, found []*cades.Assessment) []*cert.Certificate {
	all := slices.Clone(s.Certificates())
	for _, a := range found {
		for _, stamp := range slices.Concat(a.Timestamps, a.Archive) {
			all = append(all, stamp.Certificates...)
		}
	}
	var out []*cert.Certificate
	for _, c := range all {
		if !slices.ContainsFunc(out, c.Equal) {
			out = append(out, c)
		}
	}
	return out
}

func pems(certificates []*cert.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range certificates {
		fmt.Fprintf(&out, "# %s\n# issued by %s\n", c.Subject, c.Issuer)
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a bytes.Buffer takes everything
	}
	return out.Bytes()
}

// altered compares what is in the record with what follows from its signature.
func (r *Record) altered(f *faults, files []file) {
	known := []string{readmeName, verdictName, anchorsName, manifestName, sealName, sealersName}
	for _, s := range r.seals {
		manifest, response := s.names()
		known = append(known, manifest, response)
	}
	for _, file := range files {
		known = append(known, file.name)
		if file.from != nil || file.name == signatureName {
			continue // read from the record itself
		}
		switch data, here := r.small[file.name]; {
		case !here:
			f.add(file.name, "is missing from the record")
		case !bytes.Equal(data, file.data):
			f.add(file.name, "is not what the signature holds")
		}
	}
	for _, name := range r.names {
		if !slices.Contains(known, name) {
			f.add(name, "is no part of the record")
		}
	}
}
