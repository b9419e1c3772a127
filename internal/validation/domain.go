package validation

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

// How a mail domain is proven: a random value in a TXT record below it, which
// only who runs its zone can write (TLS BR §3.2.2.4.7, by S/MIME BR §3.2.2.1).
const (
	domainMethod = "3.2.2.1"
	// DomainLife is how long a proven domain may be relied on (S/MIME BR §4.2.1).
	DomainLife = 398 * 24 * time.Hour
	// TokenLife is how long a random value may be looked for (TLS BR
	// §3.2.2.4.7); after that another one is drawn.
	TokenLife = 30 * 24 * time.Hour

	challengeLabel = "_mailseal-challenge."
	challengeValue = "mailseal-domain-verification="
)

// DomainRecord is what the DNS of a domain is to show.
func DomainRecord(domain, token string) (name, value string) {
	return challengeLabel + domain, challengeValue + token
}

// NewDomainToken draws a random value: 160 bits, of which the S/MIME BR (§1.6.1)
// ask for 112.
func (v *Validator) NewDomainToken() (string, error) {
	var b [20]byte
	if _, err := io.ReadFull(v.random(), b[:]); err != nil {
		return "", fmt.Errorf("validation: randomness: %w", err)
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:])), nil
}

// DomainFinding is what a look at the DNS of a domain gave. The zero value of
// Problem: it shows the token.
type DomainFinding struct {
	Problem DomainProblem
	Name    string // that was asked for
	Detail  string // what there was instead, or the error
}

// DomainProblem says why a domain is not proven.
type DomainProblem string

// The problems.
const (
	DomainShown     DomainProblem = ""
	DomainNoRecord  DomainProblem = "none"   // there is no TXT record
	DomainOther     DomainProblem = "other"  // there are some, none with the token
	DomainNoAnswer  DomainProblem = "silent" // the DNS did not answer, or wrongly
	DomainTokenOver DomainProblem = "over"   // the token is too old to be looked for
)

// ErrNoResolver: nothing can be asked of the DNS here.
var ErrNoResolver = errors.New("validation: no DNS resolver")

// LookAtDomain asks the DNS whether a domain shows its token. It writes nothing.
func (v *Validator) LookAtDomain(ctx context.Context, d store.Domain) (DomainFinding, error) {
	name, want := DomainRecord(d.Name, d.Token)
	f := DomainFinding{Name: name}
	if v.Resolver == nil {
		return f, ErrNoResolver
	}
	if v.Clock().Sub(d.TokenAt) >= TokenLife {
		f.Problem = DomainTokenOver
		return f, nil
	}
	texts, err := v.Resolver.TXT(ctx, name)
	switch {
	case ctx.Err() != nil:
		return f, ctx.Err()
	case err != nil:
		f.Problem, f.Detail = DomainNoAnswer, err.Error()
	case len(texts) == 0:
		f.Problem = DomainNoRecord
	case !slices.ContainsFunc(texts, func(text string) bool { return strings.TrimSpace(text) == want }):
		f.Problem, f.Detail = DomainOther, shortened(texts[0])
	}
	return f, nil
}

// shortened is a stranger's text as it may be shown.
func shortened(text string) string {
	const longest = 120
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), longest)]
}

// ProveDomain writes that a look found the token. The error is one of the
// store's: ErrConflict when the domain is somebody else's, or its token was
// replaced meanwhile.
func (v *Validator) ProveDomain(tx *store.Tx, d store.Domain, f DomainFinding) (store.Domain, error) {
	if f.Problem != DomainShown || f.Name == "" {
		return d, errors.New("validation: the domain does not show its token")
	}
	now := v.Clock().UTC().Truncate(time.Second)
	d.Method = domainMethod
	d.Evidence = "TXT " + f.Name + ", " + requirements
	d.Proven, d.Checked, d.Expires, d.State, d.Problem = now, now, now.Add(DomainLife), "proven", ""
	return d, tx.DomainProven(d)
}
