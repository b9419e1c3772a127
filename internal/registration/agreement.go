package registration

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// The texts are never edited: what is said differently has another version.
//
//go:embed agreement/*.txt
var agreementFiles embed.FS

// AgreementVersion is the one that organizations accept now.
const AgreementVersion = "1"

// agreementSince is when it came into force.
var agreementSince = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)

// Agreement is what an organization accepts before it vouches for anybody.
type Agreement struct {
	Version string
	Since   time.Time
	Text    string
}

// Agreement returns the present one in a language, "en" or "ja".
func (s *Service) Agreement(lang string) (Agreement, error) {
	text, err := agreementFiles.ReadFile("agreement/" + AgreementVersion + "." + language(lang) + ".txt")
	if err != nil {
		return Agreement{}, fmt.Errorf("registration: agreement: %w", err)
	}
	return Agreement{AgreementVersion, agreementSince, string(text)}, nil
}

// AcceptAgreement binds an organization, which is active from then on. Accepting
// the same version again changes nothing.
func (s *Service) AcceptAgreement(ctx context.Context, actor auth.Actor, organization, version string) (Organization, error) {
	if !administers(actor, organization) {
		return Organization{}, ErrForbidden
	}
	if version != AgreementVersion {
		return Organization{}, wrong("version", "input.agreement.version", version, AgreementVersion)
	}
	en, err := s.Agreement("en")
	if err != nil {
		return Organization{}, err
	}
	ja, err := s.Agreement("ja")
	if err != nil {
		return Organization{}, err
	}
	return s.changeOrganization(ctx, organization, func(tx *store.Tx, o store.Organization) error {
		if o.Standing != string(StandingApplied) && o.Standing != string(StandingActive) {
			return ErrState
		}
		if err := tx.KeepAgreement(store.Agreement{Version: version, EN: en.Text, JA: ja.Text, Since: en.Since}); err != nil {
			return err
		}
		err := tx.AcceptAgreement(store.AgreementAcceptance{
			OrganizationID: organization, Version: version, AccountID: whose(actor), At: s.now(),
		})
		if errors.Is(err, store.ErrConflict) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.act(ctx, tx, actor, store.ActAgreement, organization, map[string]string{"version": version}); err != nil {
			return err
		}
		if o.Standing == string(StandingActive) { // an earlier version was accepted
			return nil
		}
		return s.setStanding(ctx, tx, actor, organization, StandingApplied, StandingActive)
	})
}
