package authority

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/store"
)

// Founding is what is fixed for good when the authorities are made.
type Founding struct {
	Organization string // of the operator; empty: "mailseal"
	Country      string // ISO 3166-1; empty: XX
	BaseURL      string // http address under which CRLs and certificates are served, no final slash

	// Dev makes authorities for trying out: their names say so, and their keys
	// are kept unencrypted. Other ones cannot be made yet.
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
	err = o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.InsertOperator(made.operator); err != nil {
			return err
		}
		if err := errors.Join(tx.InsertAuthority(made.root), tx.InsertAuthority(made.issuing), tx.InsertAuthorityCertificate(made.certificate)); err != nil {
			return err
		}
		return made.record(ctx, tx)
	})
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
	o.Log.Info("authority founded", "root", a.Root().SHA256(), "issuing", a.Chain()[0].SHA256())
	return a, nil
}

func (f *Founding) check() error {
	if f.Organization == "" {
		f.Organization = "mailseal"
	}
	if f.Country == "" {
		f.Country = "XX"
	}
	if !f.Dev {
		return errors.New("authorities can only be made with --dev so far")
	}
	u, err := url.Parse(f.BaseURL)
	if err != nil || u.Scheme != "http" || u.Host == "" || strings.HasSuffix(f.BaseURL, "/") {
		return fmt.Errorf("%q is not a plain http address without a final slash", f.BaseURL)
	}
	return nil
}

// founded is what Found stores.
type founded struct {
	operator      store.Operator
	root, issuing store.Authority
	certificate   store.AuthorityCertificate // of issuing
}

// record enters who the operator is and which authorities were made.
func (f *founded) record(ctx context.Context, tx *store.Tx) error {
	err := audit.Append(ctx, tx, audit.Entry{At: f.operator.Created, Act: audit.ActOperator, Details: map[string]string{
		"arc": f.operator.PolicyArc, "base": f.operator.BaseURL,
	}})
	for _, row := range []store.Authority{f.root, f.issuing} {
		if err == nil {
			err = audit.Append(ctx, tx, authorityMade(row))
		}
	}
	return err
}

// authorityMade is the entry of a new authority.
func authorityMade(row store.Authority) audit.Entry {
	sum := sha256.Sum256(row.Certificate)
	return audit.Entry{At: row.Created, Act: store.ActAuthority, Object: row.ID, Details: map[string]string{
		"name": row.Name, "line": row.Line, "kind": row.Kind, "parent": row.ParentID, "sha256": hex.EncodeToString(sum[:]),
	}}
}

func (f *Founding) make(o Options) (*founded, error) {
	rootKey, issuingKey, err := twoKeys(o.GenerateKey)
	if err != nil {
		return nil, err
	}
	k := maker{o, f.BaseURL, o.Clock().UTC().Truncate(time.Second)}
	arc, err := policyArc(o.Rand)
	if err != nil {
		return nil, err
	}
	made := &founded{operator: store.Operator{Name: f.Organization, PolicyArc: arc, BaseURL: f.BaseURL, Created: k.now}}
	root, err := k.root(rootKey, f.subject("Root"), nil)
	if err != nil {
		return nil, err
	}
	if made.root, err = k.row(generation{line: kindRoot, number: 1}, kindRoot, "", root); err != nil {
		return nil, err
	}
	above, err := issuance.NewIssuer(root, rootKey, crlURL(f.BaseURL, made.root.Name), certificateURL(f.BaseURL, made.root.Name))
	if err != nil {
		return nil, err
	}
	issuing, err := k.issuing(above, issuingKey.Public(), f.subject("Issuing"), nil)
	if err != nil {
		return nil, err
	}
	if made.issuing, err = k.row(generation{line: kindIssuing, number: 1}, kindIssuing, made.root.ID, issuing); err != nil {
		return nil, err
	}
	if made.certificate, err = k.certified(made.root.ID, certifiedAuthority, issuing); err != nil {
		return nil, err
	}
	if made.root.KeyURI, err = k.keep(made.root, rootKey); err != nil {
		return nil, err
	}
	made.issuing.KeyURI, err = k.keep(made.issuing, issuingKey)
	return made, err
}

func (f *Founding) subject(what string) issuance.Subject {
	return issuance.Subject{
		Country: f.Country, Organization: f.Organization,
		CommonName: f.Organization + " " + what + " (" + devMark + ")",
	}
}

// twoKeys makes both keys at once: RSA-4096 takes seconds on one core.
func twoKeys(generate func() (crypto.Signer, error)) (first, second crypto.Signer, err error) {
	done := make(chan error, 1)
	go func() {
		var err error
		second, err = generate()
		done <- err
	}()
	first, err = generate()
	err = errors.Join(err, <-done)
	return first, second, err
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
