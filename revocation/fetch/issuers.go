package fetch

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
)

const (
	// MaxIssuerSize limits a file of certificates that is fetched.
	MaxIssuerSize = 64 << 10
	// maxIssuers limits the certificates of one file that bear the right name, and
	// those that are tried as the next step up.
	maxIssuers = 8
)

// Issuers fetches certificates of an authority that is missing above c from where
// the last certificate that is there says that its issuer's is (caIssuers, RFC 5280
// §4.2.2.1). They lend no trust: whoever made c chose where this looks, and learns
// that, when and from where somebody does. So it is for those who ask for it, and for
// certpath.Options.Issuers. Nothing and no error come for a certificate above which
// nothing is missing.
func (f *Fetcher) Issuers(c *cert.Certificate, known []*cert.Certificate) ([]*cert.Certificate, error) {
	for range certpath.MaxDepth {
		if c.Subject.Equal(c.Issuer) {
			break
		}
		above := named(c, known)
		if above == nil {
			return f.issuers(c)
		}
		c = above
	}
	return nil, nil
}

// named finds a certificate with the name and the key of c's issuer.
func named(c *cert.Certificate, known []*cert.Certificate) *cert.Certificate {
	tried := 0
	for _, k := range known {
		if !k.Subject.Equal(c.Issuer) || k.Equal(c) {
			continue
		}
		if tried++; tried > maxIssuers {
			break
		}
		if c.CheckSignatureFrom(k) == nil {
			return k
		}
	}
	return nil
}

// issuers fetches what bears the name of c's issuer, and at least one.
func (f *Fetcher) issuers(c *cert.Certificate) ([]*cert.Certificate, error) {
	var failures []string
	for i, source := range c.IssuingCertificateURL {
		if i == MaxSources {
			break
		}
		found, err := f.issuersAt(source, c)
		if err == nil {
			return found, nil
		}
		failures = append(failures, fmt.Sprintf("%s: %s", clean(source), clean(describe(err))))
	}
	if len(failures) == 0 {
		return nil, fmt.Errorf("certificate %s names no place where its issuer's is", clean(c.Subject.String()))
	}
	return nil, errors.New(strings.Join(failures, "; "))
}

// issuersAt reads a file: a certificate in DER, or a certs-only message (RFC 5280
// §4.2.2.1); also one in PEM, which some authorities serve.
func (f *Fetcher) issuersAt(source string, c *cert.Certificate) (found []*cert.Certificate, err error) {
	file, asked := f.files[source]
	if !asked {
		file.certificates, file.err = f.issuersFile(source)
		if f.files == nil {
			f.files = map[string]issuersFile{}
		}
		f.files[source] = file
	}
	for _, issuer := range file.certificates {
		if issuer.Subject.Equal(c.Issuer) && len(found) < maxIssuers {
			found = append(found, issuer)
		}
	}
	if file.err == nil && len(found) == 0 {
		return nil, errors.New("it has no certificate of that issuer")
	}
	return found, file.err
}

// issuersFile is what a source had.
type issuersFile struct {
	certificates []*cert.Certificate
	err          error
}

func (f *Fetcher) issuersFile(source string) ([]*cert.Certificate, error) {
	key, caching := "issuers "+source, f.o.Cache != nil && !f.o.Now.IsZero()
	if caching {
		if data, found := f.o.Cache.Get(key, f.o.Now); found {
			return cert.ParseAll(data)
		}
	}
	data, err := f.get(source, "", "", MaxIssuerSize)
	if err != nil {
		return nil, err
	}
	all, err := cert.ParseAll(data)
	if err == nil && caching {
		f.o.Cache.Put(key, data, f.o.Now.Add(MaxCacheAge), f.o.Now)
	}
	return all, err
}
