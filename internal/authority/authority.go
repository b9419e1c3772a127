// Package authority runs the operator's own authorities: it makes them at the
// first start, issues certificates so that none is ever lost or unknown, and
// keeps their revocation lists fresh.
//
// # Order of issuing
//
// Each step is on the disk before the next one begins: the serial number is
// taken; the bytes to be signed are stored; they are signed; certificate and
// state of the order are stored in one transaction. Whatever stops the process
// in between leaves a row that [Authority.Recover] finishes or refuses at the
// next start. Nothing leaves the process before the last step.
//
// What a certificate looks like is decided in internal/issuance, who may have
// one in internal/registration: here it takes proofs of validation to get one.
//
// Start at [Found] for a new installation and [Open] for an old one.
package authority

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// Errors that a caller may want to tell apart.
var (
	// ErrNone: no authority was founded in this store.
	ErrNone = errors.New("authority: there is none yet")
	// ErrFounded: there is one already.
	ErrFounded = errors.New("authority: founded already")
	// ErrUnknown: no authority or certificate of that name.
	ErrUnknown = errors.New("authority: not known")
	// ErrOtherKey: the order belongs to another key, or is closed.
	ErrOtherKey = fmt.Errorf("authority: the order belongs to another key: %w", store.ErrConflict)
	// ErrOffline: the authority's key is elsewhere.
	ErrOffline = errors.New("authority: its key is not here")
	// ErrNotAllowed: the order's state, key or proofs do not allow to issue.
	ErrNotAllowed = errors.New("authority: not allowed to issue")
)

// Options are what an [Authority] needs.
type Options struct {
	Store      *store.DB
	Keys       *keys.Keys // nil: to look only, nothing can be signed
	Validation *validation.Validator
	Clock      func() time.Time
	Log        *slog.Logger
	Rand       io.Reader // of serial numbers; nil: crypto/rand

	// Shared: other nodes may use the store at the same time, so that what is
	// unfinished may be in their hands.
	Shared bool

	// GenerateKey makes the key of a new authority; nil: RSA-4096, which S/MIME
	// BR §6.1.5 ask of authorities' RSA keys made since 2026-09-15.
	GenerateKey func() (crypto.Signer, error)

	// Stop is called after each durable step with its name, for tests: an
	// error ends the operation there, as a crash would.
	Stop func(step string) error
}

func (o Options) withDefaults() Options {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.GenerateKey == nil {
		o.GenerateKey = generateRSA4096
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stop == nil {
		o.Stop = func(string) error { return nil }
	}
	return o
}

// Authority is the operator's roots and the issuing authorities below them. What
// another process makes or retires meanwhile [Authority.Maintain] takes notice of.
type Authority struct {
	o         Options
	name      string // of the operator
	arc       oid.OID
	base      string // where lists and certificates are served, without a final slash
	profile   *issuance.Profile
	hierarchy atomic.Pointer[hierarchy]
	missing   atomic.Pointer[error] // why the newest state is not the one in use; nil: it is

	profiles  sync.Map      // hashes of those that are in the store
	preparing chan struct{} // holds one for each certificate that is being made and linted

	answers   answers
	uncovered *uncovered

	timestamps timestamper
}

// cross is a certificate of one root for another.
type cross struct {
	name        string
	certificate *cert.Certificate
}

// Open opens the authorities of the store. It does not finish what a crash
// left behind: call [Authority.Recover] before serving.
func Open(ctx context.Context, o Options) (*Authority, error) {
	o = o.withDefaults()
	var operator store.Operator
	var rows rows
	err := o.Store.View(ctx, func(tx *store.Tx) (err error) {
		if operator, err = tx.Operator(); err != nil {
			return err
		}
		rows, err = readRows(tx)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	a := &Authority{
		o: o, name: operator.Name, arc: oid.OID(operator.PolicyArc), base: operator.BaseURL, uncovered: newUncovered(),
		preparing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
	}
	if err := a.load(rows); err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	if a.profile, err = mailboxProfile(oid.OID(operator.PolicyArc)); err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	return a, nil
}

func crlURL(base, name string) string         { return base + "/crl/" + name + ".crl" }
func certificateURL(base, name string) string { return base + "/ca/" + name + ".cer" }

// ocspURL is where OCSP is answered for what m issues. Authorities are looked
// up in a root's list: who has the root's key offline has no answers at hand.
func (a *Authority) ocspURL(m *Member) string {
	if m.Root() {
		return ""
	}
	return a.base + "/ocsp"
}

// mailboxProfile is the one product so far: Basic, mailbox-validated,
// multipurpose.
func mailboxProfile(arc oid.OID) (*issuance.Profile, error) {
	c, _ := issuance.StandardProfile(arc, "basic")
	return issuance.NewProfile(c)
}

// BaseURL returns the address, without a final slash, that every certificate
// names for revocation lists and authorities' certificates: the one that the
// authority was founded with.
func (a *Authority) BaseURL() string { return a.base }

// Operator returns the name of who runs the authorities.
func (a *Authority) Operator() string { return a.name }

// PolicyArc returns the identifier under which the operator's policies are.
func (a *Authority) PolicyArc() oid.OID { return a.arc }

// Root returns the active root's certificate, nil where there is none.
func (a *Authority) Root() *cert.Certificate {
	if m := a.active(kindRoot); m != nil {
		return m.certificate
	}
	return nil
}

// Chain returns the certificates above a subscriber's, without the root, where
// there is one issuing authority; see [Authority.Above].
func (a *Authority) Chain() []*cert.Certificate {
	if m := a.active(kindIssuing); m != nil {
		return []*cert.Certificate{m.certificate}
	}
	return nil
}

// Profile returns the profile that new orders get.
func (a *Authority) Profile() *issuance.Profile { return a.profile }

// Certificate returns the certificate of the authority of that name ("root",
// "issuing"), the cross certificate of that name ("root-2-by-root"), or
// [ErrUnknown].
func (a *Authority) Certificate(name string) (*cert.Certificate, error) {
	for _, c := range a.state().crosses {
		if c.name == name {
			return c.certificate, nil
		}
	}
	m, err := a.Member(name)
	if err != nil {
		return nil, err
	}
	return m.certificate, nil
}

// Certificates returns the certificate of the authority of that name, and the
// cross certificates of its key that are valid.
func (a *Authority) Certificates(ctx context.Context, name string) ([]*cert.Certificate, error) {
	m, err := a.Member(name)
	if err != nil {
		return nil, err
	}
	list := []*cert.Certificate{m.certificate}
	var rows []store.AuthorityCertificate
	err = a.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.AuthorityCertificates()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("certificates of %s: %w", name, err)
	}
	for _, row := range rows {
		c, err := cert.Parse(row.Certificate)
		if err != nil {
			return nil, fmt.Errorf("certificates of %s: %w", name, err)
		}
		if row.Kind == certifiedCross && row.Revoked.IsZero() && c.NotAfter.After(a.o.Clock()) && bytes.Equal(c.RawSPKI, m.certificate.RawSPKI) {
			list = append(list, c)
		}
	}
	return list, nil
}
