package authority

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/store"
)

// Founding is what is fixed for good when the authorities are made.
type Founding struct {
	Organization string   // of the operator; empty with Dev: "mailseal"
	Country      string   // ISO 3166-1; empty: XX
	BaseURL      string   // http address under which CRLs and certificates are served, no final slash
	PolicyArc    string   // under which the operator's policies are; empty: a new one of its own
	Domains      []string // of mail that all authorities are limited to; none: any

	Partitions int // of the issuing authority's CRL; 0: one

	// Root is the certificate of a root whose key stays elsewhere. The issuing
	// authority then waits for its certificate from there: see [Requests], [Accept].
	Root *cert.Certificate
	// RootOnly makes no issuing authority: for the place where the root's key stays.
	RootOnly bool

	// RootKey and IssuingKey are URIs of keys that exist; empty: new ones are made.
	RootKey, IssuingKey string

	// Dev makes authorities for trying out: their names say so.
	Dev bool
}

// devMark stands in the names of authorities that nobody should trust.
const devMark = "DEV, do not trust"

// backdate: notBefore lies back for clocks that run slow.
const backdate = time.Hour

// Found makes the operator, a root and an issuing authority, and opens them.
// Until the last write, which is one transaction, nothing refers to anything
// that was made; a first start that was interrupted is simply made again.
func Found(ctx context.Context, o Options, f Founding) (*Authority, error) {
	o = o.withDefaults()
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("found authority: %w", err)
	}
	if _, err := Open(ctx, o); !errors.Is(err, ErrNone) {
		if err == nil {
			err = ErrFounded
		}
		return nil, err
	}
	made, err := f.make(o)
	if err != nil {
		return nil, fmt.Errorf("found authority: %w", err)
	}
	err = o.Store.Update(ctx, func(tx *store.Tx) error { return made.write(record{ctx, tx, made.maker}) })
	if errors.Is(err, store.ErrConflict) {
		return nil, ErrFounded
	}
	if err != nil {
		return nil, fmt.Errorf("found authority: %w", err)
	}
	a, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, m := range a.all() {
		o.Log.Info("authority founded", "authority", m.name, "certificate", m.certificate.SHA256())
	}
	return a, nil
}

func (f *Founding) check() (err error) {
	if f.Organization == "" && f.Dev {
		f.Organization = "mailseal"
	}
	if f.Country == "" {
		f.Country = "XX"
	}
	if f.Organization == "" && f.Root == nil {
		return errors.New("the operator has no name")
	}
	if f.Root != nil {
		if err := f.checkRoot(); err != nil {
			return err
		}
	}
	if f.Partitions, err = partitions(f.Partitions); err != nil {
		return err
	}
	if f.PolicyArc != "" {
		if err := issuance.CheckArc(oid.OID(f.PolicyArc)); err != nil {
			return err
		}
	}
	if f.Domains, err = issuance.ParseDomains(f.Domains); err != nil {
		return err
	}
	return CheckBaseURL(f.BaseURL, f.Dev)
}

// checkRoot looks at the certificate of a root that is elsewhere.
func (f *Founding) checkRoot() error {
	switch c := f.Root; {
	case f.RootOnly || f.RootKey != "":
		return errors.New("a root is either made here or comes from elsewhere")
	case !c.BasicConstraints.CA || !c.SelfIssued() || !c.Allows(cert.KeyUsageCertSign) || len(c.SubjectKeyID) == 0 || len(c.Defects) > 0:
		return fmt.Errorf("%s is not the certificate of a root", c.Subject)
	}
	return f.Root.CheckSignatureFrom(f.Root)
}

// CheckBaseURL looks at the address that all certificates will name. It cannot be
// changed afterwards, so outside of trying out it must not be one that means a
// different machine to each that reads it.
func CheckBaseURL(address string, dev bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || strings.HasSuffix(address, "/") ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is not a plain http address without a final slash", address)
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	ip, err := netip.ParseAddr(host)
	local := host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && (ip.Unmap().IsLoopback() || ip.IsUnspecified())
	if local && !dev {
		return fmt.Errorf("%q means this machine alone: certificates need an address that everybody reaches", address)
	}
	return nil
}

// founded is what Found stores.
type founded struct {
	maker
	operator     store.Operator
	authorities  []store.Authority
	certificates []store.AuthorityCertificate
	requests     []store.AuthorityRequest
}

func (f *founded) write(r record) error {
	if err := r.operator(f.operator); err != nil {
		return err
	}
	for _, row := range f.authorities {
		if err := r.install(row); err != nil {
			return err
		}
	}
	for _, row := range f.requests {
		if err := r.requested(row); err != nil {
			return err
		}
	}
	return r.certified(f.certificates...)
}

func (f *Founding) make(o Options) (*founded, error) {
	k := maker{o, f.BaseURL, o.Clock().UTC().Truncate(time.Second)}
	arc := f.PolicyArc
	if arc == "" {
		var err error
		if arc, err = policyArc(o.Rand); err != nil {
			return nil, err
		}
	}
	made := &founded{maker: k, operator: store.Operator{Name: f.Organization, PolicyArc: arc, BaseURL: f.BaseURL, Created: k.now}}
	switch {
	case f.Root != nil:
		return made, f.makeBelow(k, made)
	case f.RootOnly:
		key, err := o.newKey(f.RootKey)
		if err != nil {
			return nil, err
		}
		_, err = f.makeRoot(k, made, key)
		return made, err
	}
	return made, f.makeBoth(k, made)
}

// makeBoth makes a root and an issuing authority below it.
func (f *Founding) makeBoth(k maker, made *founded) error {
	rootKey, issuingKey, err := f.twoKeys(k.o)
	if err != nil {
		return err
	}
	above, err := f.makeRoot(k, made, rootKey)
	if err != nil {
		return err
	}
	issuing, err := k.issuing(above, issuance.AuthorityRequest{Subject: f.subject("Issuing"), Key: issuingKey.Public(), Domains: f.Domains})
	if err != nil {
		return err
	}
	root := made.authorities[0]
	row, err := k.row(generation{line: kindIssuing, number: 1}, kindIssuing, root.ID, issuing)
	if err != nil {
		return err
	}
	certified, err := k.certified(root.ID, certifiedAuthority, issuing)
	if err != nil {
		return err
	}
	row.Domains, row.Partitions = f.Domains, f.Partitions
	if row.KeyURI, err = k.keep(row.Name, row.ID, issuingKey, f.IssuingKey); err != nil {
		return err
	}
	made.authorities, made.certificates = append(made.authorities, row), append(made.certificates, certified)
	return nil
}

func (f *Founding) makeRoot(k maker, made *founded, key crypto.Signer) (*issuance.Issuer, error) {
	root, err := k.root(key, f.subject("Root"), f.Domains)
	if err != nil {
		return nil, err
	}
	row, err := k.row(generation{line: kindRoot, number: 1}, kindRoot, "", root)
	if err != nil {
		return nil, err
	}
	row.Domains = f.Domains
	if row.KeyURI, err = k.keep(row.Name, row.ID, key, f.RootKey); err != nil {
		return nil, err
	}
	made.authorities = append(made.authorities, row)
	return k.issuer(root, key, row.Name)
}

// makeBelow takes in a root whose key is elsewhere, and makes the key of an
// issuing authority that will be below it.
func (f *Founding) makeBelow(k maker, made *founded) error {
	row, err := k.row(generation{line: kindRoot, number: 1}, kindRoot, "", f.Root)
	if err != nil {
		return err
	}
	row.Domains = issuance.PermittedDomains(f.Root)
	made.authorities = append(made.authorities, row)
	s := nameOf(f.Root)
	if made.operator.Name == "" {
		made.operator.Name = s.Organization
	}
	s.CommonName = made.operator.Name + " Issuing"
	if f.Dev {
		s.CommonName += " (" + devMark + ")"
	}
	key, err := k.o.newKey(f.IssuingKey)
	if err != nil {
		return err
	}
	request, err := k.request(generation{line: kindIssuing, number: 1}, key, s, NewIssuing{Domains: f.Domains, Partitions: f.Partitions, KeyURI: f.IssuingKey})
	made.requests = append(made.requests, request)
	return err
}

func (f *Founding) subject(what string) issuance.Subject {
	s := issuance.Subject{Country: f.Country, Organization: f.Organization, CommonName: f.Organization + " " + what}
	if f.Dev {
		s.CommonName += " (" + devMark + ")"
	}
	return s
}

// twoKeys makes both keys at once: RSA-4096 takes seconds on one core. Keys that
// exist are opened one after the other: a wrong PIN is tried once.
func (f *Founding) twoKeys(o Options) (root, issuing crypto.Signer, err error) {
	if f.RootKey != "" || f.IssuingKey != "" {
		if root, err = o.newKey(f.RootKey); err != nil {
			return nil, nil, err
		}
		issuing, err = o.newKey(f.IssuingKey)
		return root, issuing, err
	}
	done := make(chan error, 1)
	go func() {
		var err error
		issuing, err = o.newKey("")
		done <- err
	}()
	root, err = o.newKey("")
	err = errors.Join(err, <-done)
	return root, issuing, err
}

func generateRSA4096() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 4096) }

// policyArc makes an arc of the operator's own out of a random UUID (X.667 §7,
// RFC 9562 §5.4): 2.25 and the UUID as a number.
func policyArc(random io.Reader) (string, error) {
	var uuid [16]byte
	if _, err := io.ReadFull(random, uuid[:]); err != nil {
		return "", fmt.Errorf("randomness: %w", err)
	}
	uuid[6] = uuid[6]&0x0f | 0x40
	uuid[8] = uuid[8]&0x3f | 0x80
	return "2.25." + new(big.Int).SetBytes(uuid[:]).String(), nil
}

// newSerial draws a serial number: 127 random bits, positive, at most 16
// octets (S/MIME BR §7.1 ask for 64 bits, RFC 5280 §4.1.2.2 for at most 20
// octets).
func newSerial(random io.Reader) (*big.Int, error) {
	for {
		var b [16]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return nil, fmt.Errorf("randomness: %w", err)
		}
		b[0] &= 0x7f
		// One in 2^63 is too short to look random; draw again.
		if n := new(big.Int).SetBytes(b[:]); n.BitLen() >= 64 {
			return n, nil
		}
	}
}

func newID(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("randomness: %w", err)
	}
	return fmt.Sprintf("%x", b), nil
}
