package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mailseal/mailseal/internal/pdf"
)

// expiryWarning is how long before its end a TLS certificate is spoken of.
const expiryWarning = 30 * 24 * time.Hour

// CheckFiles looks at what the values point to, at a time. Credentials is the
// folder of $CREDENTIALS_DIRECTORY.
func (f *File) CheckFiles(credentials string, now time.Time) (warnings []Problem, err error) {
	c := &checker{File: f}
	s := f.Settings
	for _, secret := range []struct {
		key string
		Secret
	}{
		{"database.password", s.Database.Password}, {"keys.passphrase", s.Keys.Passphrase}, {"keys.pin", s.Keys.PIN}, {"mail.password", s.Mail.Password},
		{"sign-in.openid.secret", s.SignIn.OpenID.Secret},
	} {
		if !secret.Given() {
			continue
		}
		if _, err := secret.Read(credentials); err != nil {
			c.refuse(secret.key, err.Error(), "")
		}
	}
	for _, trust := range []struct{ key, path string }{
		{"mail.trust", s.Mail.Trust}, {"portal.acme.trust", s.Portal.ACME.Trust}, {"sign-in.openid.trust", s.SignIn.OpenID.Trust},
	} {
		if _, err := LoadTrust(trust.path); err != nil {
			c.refuse(trust.key, err.Error(), "")
		}
	}
	if s.Portal.ReportFont != "" {
		if _, err := LoadFont(s.Portal.ReportFont); err != nil {
			c.refuse("portal.report-font", err.Error(), "name a TrueType font, such as that of the package "+pdf.FontPackage)
		}
	}
	if s.TLSByFile() {
		c.pair(credentials, now)
	}
	return c.warnings, failed(c.problems)
}

func (c *checker) pair(credentials string, now time.Time) {
	pair, err := c.Settings.Portal.LoadPair(credentials)
	if err != nil {
		c.refuse("portal.certificate", err.Error(), "")
		return
	}
	switch left := pair.Leaf.NotAfter.Sub(now); {
	case left <= 0:
		c.refuse("portal.certificate", "expired at "+pair.Leaf.NotAfter.UTC().Format(time.RFC3339), "get a new one")
	case left < expiryWarning:
		c.warn("portal.certificate", "expires at "+pair.Leaf.NotAfter.UTC().Format(time.RFC3339), "get a new one; it is taken up without a restart")
	}
	if err := pair.Leaf.VerifyHostname(c.Settings.PortalHost()); err != nil {
		c.refuse("portal.certificate", "it is for another host than portal.url", err.Error())
	}
}

// LoadPair reads the portal's certificate, with its chain, and key.
func (p *Portal) LoadPair(credentials string) (*tls.Certificate, error) {
	chain, err := os.ReadFile(p.Certificate)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	key, err := p.Key.Read(credentials)
	if err != nil {
		return nil, fmt.Errorf("TLS key: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate %s and its key: %w", p.Certificate, err)
	}
	return &pair, nil
}

// LoadFont reads the font of reports.
func LoadFont(path string) (*pdf.Font, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > pdf.MaxFont {
		return nil, fmt.Errorf("%s: %w: larger than %d MiB", path, pdf.ErrNoFont, pdf.MaxFont>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	font, err := pdf.ParseFont(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return font, nil
}

// LoadTrust reads a PEM file of authorities; "" means those of the system, nil.
func LoadTrust(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("authorities to trust: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New(path + " has no certificate in PEM")
	}
	return pool, nil
}
