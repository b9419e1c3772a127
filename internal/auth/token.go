package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

// Limits of tokens.
const (
	TokenPrefix   = "mailseal_" // so that scanners for secrets find one that was published
	MaxTokenLife  = 366 * 24 * time.Hour
	MaxTokens     = 100 // of one account, those included that have ended
	maxTokenText  = 200
	tokenTouch    = time.Minute
	maxTokenScope = 20
)

// The ways in which a token is not made or not accepted.
var (
	// ErrToken: no such token, or it has ended.
	ErrToken = errors.New("auth: no such token, or it has ended")
	// ErrScope: the account does not have what the token is to have, or no
	// program may.
	ErrScope = errors.New("auth: scope not accepted")
	// ErrLife: the token must end within a year.
	ErrLife = errors.New("auth: a token lasts at most 366 days")
	// ErrName: it needs a name.
	ErrName = errors.New("auth: a name is missing")
)

// Token is what people see of a token.
type Token struct {
	ID      string
	Name    string
	Scopes  []Grant
	Created time.Time
	Expires time.Time
	Used    time.Time // zero: never; to the minute
	Revoked time.Time // zero: not
}

// Ended tells whether the token is worth nothing any more.
func (t Token) Ended(now time.Time) bool { return !t.Revoked.IsZero() || !now.Before(t.Expires) }

// ParseScope reads a role, and "@ORGANIZATION" where it is of one.
func ParseScope(text string) (Grant, error) {
	role, organization, _ := strings.Cut(text, "@")
	g := Grant{Role(role), organization}
	if g.Role == Reader {
		return g, nil
	}
	return g, g.check()
}

// String writes what [ParseScope] reads.
func (g Grant) String() string {
	if g.Organization == "" {
		return string(g.Role)
	}
	return string(g.Role) + "@" + g.Organization
}

// covers tells whether an actor may hand a scope to a program. What needs a
// person each time is not handed on: approving, and holding a share.
func (a Actor) covers(scope Grant) bool {
	switch scope.Role {
	case Approver, RecoveryOfficer:
		return false
	case Reader:
		if scope.Organization == "" {
			return a.Has(Operator, "") || a.Has(Auditor, "")
		}
		return a.MayRead(scope.Organization)
	}
	return a.Has(scope.Role, scope.Organization)
}

// NewToken makes a token for programs that act for an account, in a session that
// showed a moment ago whose it is. Only the token's SHA-256 is kept: the returned
// text is shown once.
func (s *Service) NewToken(ctx context.Context, by Actor, name string, scopes []Grant, life time.Duration) (Token, string, error) {
	if by.Kind != KindAccount {
		return Token{}, "", ErrForbidden
	}
	if err := by.Again(); err != nil {
		return Token{}, "", err
	}
	if name = shortName(name); name == "" {
		return Token{}, "", ErrName
	}
	if life <= 0 || life > MaxTokenLife {
		return Token{}, "", ErrLife
	}
	texts, err := scopesOf(by, scopes)
	if err != nil {
		return Token{}, "", err
	}
	id, err := s.newID()
	if err != nil {
		return Token{}, "", err
	}
	secret, err := s.newToken()
	if err != nil {
		return Token{}, "", err
	}
	now := s.clock().UTC().Truncate(time.Second)
	row := store.APIToken{
		ID: id, AdministratorID: by.ID, Name: name, SecretHash: hashTokenSecret(id, secret), Scopes: strings.Join(texts, " "),
		Created: now, Expires: now.Add(life),
	}
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		list, err := tx.APITokens(by.ID)
		if err != nil {
			return err
		}
		if len(list) >= MaxTokens {
			return ErrState
		}
		if err := tx.InsertAPIToken(row); err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{At: now, Actor: by.String(), Act: store.ActTokenMade, Object: id,
			Details: map[string]string{"scopes": row.Scopes, "expires": row.Expires.Format(time.RFC3339)}})
	})
	if err != nil {
		return Token{}, "", err
	}
	return tokenOf(row), TokenPrefix + id + "." + secret, nil
}

func scopesOf(by Actor, scopes []Grant) ([]string, error) {
	if len(scopes) == 0 || len(scopes) > maxTokenScope {
		return nil, fmt.Errorf("%w: 1 to %d scopes", ErrScope, maxTokenScope)
	}
	texts := make([]string, len(scopes))
	for i, scope := range scopes {
		if !by.covers(scope) {
			return nil, fmt.Errorf("%w: %s", ErrScope, scope)
		}
		texts[i] = scope.String()
	}
	return texts, nil
}

func hashTokenSecret(id, secret string) []byte {
	sum := sha256.Sum256([]byte("API token " + id + " " + secret))
	return sum[:]
}

func tokenOf(r store.APIToken) Token {
	t := Token{ID: r.ID, Name: r.Name, Created: r.Created, Expires: r.Expires, Used: r.Used, Revoked: r.Revoked}
	for text := range strings.FieldsSeq(r.Scopes) {
		if scope, err := ParseScope(text); err == nil {
			t.Scopes = append(t.Scopes, scope)
		}
	}
	return t
}

// Tokens lists those of the actor's account.
func (s *Service) Tokens(ctx context.Context, by Actor) ([]Token, error) {
	if by.Kind != KindAccount {
		return nil, ErrForbidden
	}
	var list []Token
	err := s.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.APITokens(by.ID)
		for _, r := range rows {
			list = append(list, tokenOf(r))
		}
		return err
	})
	return list, err
}

// RevokeToken ends a token of the actor's account; an operator ends any, and a
// token itself.
func (s *Service) RevokeToken(ctx context.Context, by Actor, id string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.APIToken(id)
		if errors.Is(err, store.ErrNotFound) {
			return ErrForbidden
		}
		if err != nil {
			return err
		}
		own := by.Kind == KindAccount && row.AdministratorID == by.ID || by.Kind == KindToken && row.ID == by.ID
		if !own && (by.Kind == KindToken || !by.Has(Operator, "")) {
			return ErrForbidden
		}
		if err := tx.RevokeAPIToken(id, s.clock()); err != nil {
			return stateOf(err)
		}
		return audit.Append(ctx, tx, audit.Entry{At: s.clock(), Actor: by.String(), Act: store.ActTokenRevoked, Object: id})
	})
}

// revokeTokens ends all tokens of an account: whoever knew what signs it in may
// have made some.
func (s *Service) revokeTokens(ctx context.Context, tx *store.Tx, by Actor, account string) error {
	list, err := tx.APITokens(account)
	if err != nil {
		return err
	}
	now := s.clock()
	for _, row := range list {
		if tokenOf(row).Ended(now) {
			continue
		}
		if err := tx.RevokeAPIToken(row.ID, now); err != nil {
			return stateOf(err)
		}
		err := audit.Append(ctx, tx, audit.Entry{At: now, Actor: by.String(), Act: store.ActTokenRevoked, Object: row.ID})
		if err != nil {
			return err
		}
	}
	return nil
}

// Authenticate says who a program is that shows a token: it has what its scopes
// name, as far as its account has that today.
func (s *Service) Authenticate(ctx context.Context, text string) (Actor, error) {
	id, secret, ok := strings.Cut(strings.TrimPrefix(text, TokenPrefix), ".")
	if !ok || !strings.HasPrefix(text, TokenPrefix) || len(text) > maxTokenText {
		return Actor{}, ErrToken
	}
	var row store.APIToken
	var holder Actor
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		if row, err = tx.APIToken(id); err != nil {
			return err
		}
		holder = Actor{Kind: KindAccount, ID: row.AdministratorID, Strong: true}
		holder.Grants, err = grants(tx, row.AdministratorID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return Actor{}, ErrToken
	}
	if err != nil {
		return Actor{}, err
	}
	now := s.clock()
	t := tokenOf(row)
	if subtle.ConstantTimeCompare(hashTokenSecret(id, secret), row.SecretHash) != 1 || t.Ended(now) {
		return Actor{}, ErrToken
	}
	if now.Sub(row.Used) >= tokenTouch {
		if err := s.db.Update(ctx, func(tx *store.Tx) error { return tx.TouchAPIToken(id, now) }); err != nil {
			return Actor{}, err
		}
	}
	actor := Actor{Kind: KindToken, ID: id, Account: row.AdministratorID, Strong: true}
	for _, scope := range t.Scopes {
		if holder.covers(scope) {
			actor.Grants = append(actor.Grants, scope)
		}
	}
	return actor, nil
}
