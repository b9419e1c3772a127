package portal

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rsc.io/qr"

	"github.com/mailseal/mailseal/internal/export"
)

// setups are what sets a device up by itself, by the device's guide: a file to
// open or a script to run.
var setups = map[string]string{
	"applemail": "mailseal.mobileconfig", "iphone": "mailseal.mobileconfig", "outlook": "windows.ps1", "newoutlook": "windows.ps1", "thunderbird": "thunderbird.sh",
}

// setupFile is one of them. They hold the authorities and no key: whose it is
// does not matter.
func (p *portal) setupFile(w http.ResponseWriter, r *http.Request) error {
	root, issuing, err := p.Certificates.Chain(r.Context())
	if err != nil {
		return err
	}
	name := r.PathValue("file")
	switch name {
	case "mailseal.mobileconfig":
		return p.appleProfile(w, r)
	case "windows.ps1":
		attach(w, "text/plain; charset=utf-8", name)
		_, _ = w.Write(export.Windows(root, issuing)) // the client is gone: nobody left to tell
	case "thunderbird.sh":
		attach(w, "text/x-shellscript; charset=utf-8", name)
		_, _ = w.Write(export.Thunderbird(root, issuing)) // likewise
	default:
		return errNoPage
	}
	return nil
}

// appleProfile brings the authorities to a Mac, an iPhone or an iPad.
func (p *portal) appleProfile(w http.ResponseWriter, r *http.Request) error {
	root, issuing, err := p.Certificates.Chain(r.Context())
	if err != nil {
		return err
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return err
	}
	t := p.tongueOf(r)
	description, err := t.plain("setup.profile")
	if err != nil {
		return err
	}
	parts := strings.Split(u.Hostname(), ".")
	slices.Reverse(parts)
	signed, err := p.Certificates.Sign(r.Context(), export.AppleProfile{
		Name: "mailseal " + u.Hostname(), Description: description, Organization: u.Hostname(),
		Identifier: strings.Join(parts, ".") + ".mailseal", Root: root, Issuing: issuing,
	})
	if err != nil {
		return err
	}
	attach(w, "application/x-apple-aspen-config", "mailseal.mobileconfig")
	_, _ = w.Write(signed) // the client is gone: nobody left to tell
	return nil
}

// code is a QR code (ISO/IEC 18004) as one SVG path, a square for each dark
// module, with the quiet zone that scanners want around it.
type code struct {
	Size int
	Path string
}

// quietZone is four modules wide (ISO/IEC 18004 §5.3.8).
const quietZone = 4

func newCode(text string) (code, error) {
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return code{}, fmt.Errorf("QR code: %w", err)
	}
	if c.Size == 0 {
		return code{}, errors.New("QR code: empty")
	}
	var b strings.Builder
	for y := range c.Size {
		for x := range c.Size {
			if c.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+quietZone, y+quietZone)
			}
		}
	}
	return code{c.Size + 2*quietZone, b.String()}, nil
}
