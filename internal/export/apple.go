package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
)

// AppleProfile is a configuration profile (.mobileconfig) for macOS, iOS and
// iPadOS: it brings the authorities, and the person's own file if there is one.
type AppleProfile struct {
	Name         string // what the device shows
	Description  string
	Organization string
	Identifier   string // in reverse DNS form; a profile replaces one of the same
	Root         *cert.Certificate
	Issuing      []*cert.Certificate
	PKCS12       []byte // encrypted; the device asks for its passphrase
	PKCS12Name   string
}

// The types of payloads, as Apple's Device Management documentation has them.
const (
	payloadRoot   = "com.apple.security.root"
	payloadIssuer = "com.apple.security.pkcs1"
	payloadPKCS12 = "com.apple.security.pkcs12"
)

// XML is the profile before it is signed.
func (p AppleProfile) XML() []byte {
	var b plist
	b.WriteString(xml.Header)
	b.WriteString(`<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n")
	b.WriteString("<plist version=\"1.0\">\n<dict>\n<key>PayloadContent</key>\n<array>\n")
	b.payload(p.Identifier, payloadRoot, p.Name+" (root)", "root.cer", p.Root.Raw)
	for _, c := range p.Issuing {
		b.payload(p.Identifier, payloadIssuer, p.Name+" (issuing)", "issuing.cer", c.Raw)
	}
	if len(p.PKCS12) > 0 {
		b.payload(p.Identifier, payloadPKCS12, p.PKCS12Name, "certificate.p12", p.PKCS12)
	}
	b.WriteString("</array>\n")
	b.text("PayloadDescription", p.Description)
	b.text("PayloadDisplayName", p.Name)
	b.text("PayloadIdentifier", p.Identifier)
	b.text("PayloadOrganization", p.Organization)
	b.text("PayloadType", "Configuration")
	b.text("PayloadUUID", uuid(p.Identifier, p.Root.Raw, p.PKCS12))
	b.WriteString("<key>PayloadVersion</key>\n<integer>1</integer>\n</dict>\n</plist>\n")
	return b.Bytes()
}

// Signed is the profile inside a SignedData (RFC 5652 §5), as devices take it.
// The profile's own root is not what it is judged by.
func (p AppleProfile) Signed(s *cms.Signer) ([]byte, error) {
	var b bytes.Buffer
	w, err := cms.Sign(&b, []*cms.Signer{s}, nil)
	if err != nil {
		return nil, fmt.Errorf("sign profile: %w", err)
	}
	if _, err := w.Write(p.XML()); err != nil {
		return nil, fmt.Errorf("sign profile: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("sign profile: %w", err)
	}
	return b.Bytes(), nil
}

// plist is a property list that is being written.
type plist struct{ bytes.Buffer }

func (b *plist) text(key, value string) {
	fmt.Fprintf(b, "<key>%s</key>\n<string>", key)
	_ = xml.EscapeText(b, []byte(value)) // a buffer takes everything
	b.WriteString("</string>\n")
}

func (b *plist) payload(profile, kind, name, file string, content []byte) {
	id := uuid(profile, []byte(kind), content)
	b.WriteString("<dict>\n")
	b.text("PayloadCertificateFileName", file)
	fmt.Fprintf(b, "<key>PayloadContent</key>\n<data>%s</data>\n", base64.StdEncoding.EncodeToString(content))
	b.text("PayloadDisplayName", name)
	b.text("PayloadIdentifier", profile+"."+strings.ToLower(id))
	b.text("PayloadType", kind)
	b.text("PayloadUUID", id)
	b.WriteString("<key>PayloadVersion</key>\n<integer>1</integer>\n</dict>\n")
}

// uuid is made of what it stands for (RFC 9562 §5.8, version 8), so that the
// same profile has the same one.
func uuid(name string, parts ...[]byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s", len(name), name)
	for _, part := range parts {
		fmt.Fprintf(h, "%d ", len(part))
		h.Write(part)
	}
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	s := strings.ToUpper(hex.EncodeToString(b))
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
