package registration

import (
	"context"
	"errors"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// FourEyes tells which features that take more than one person an organization
// can use as things stand, and why not the others. Basic certificates need none
// of them.
type FourEyes struct {
	Approval FourEyesState // orders decided by somebody else than who asked
	Evidence FourEyesState // OV, IV and IV+OV: two decide about evidence that a third submitted
}

// FourEyesState is whether one of them works.
type FourEyesState struct {
	On     bool
	Why    string // key of the text that says why not; empty when it works
	People int    // who could take part
	Needed int
}

// Text is the reason for people, empty when it works.
func (f FourEyesState) Text(language string) string {
	if f.On {
		return ""
	}
	return Text(language, f.Why, f.People, f.Needed)
}

// FourEyes tells it.
func (s *Service) FourEyes(ctx context.Context, actor auth.Actor, organization string) (eyes FourEyes, err error) {
	if !reads(actor, organization) {
		return eyes, ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err := tx.Organization(organization)
		if err != nil {
			return hidden(err)
		}
		eyes, err = s.fourEyes(tx, row)
		return err
	})
	return eyes, err
}

func (s *Service) fourEyes(tx *store.Tx, o store.Organization) (eyes FourEyes, err error) {
	in, err := tx.RolesIn(o.ID)
	if err != nil {
		return eyes, err
	}
	all, err := tx.RolesIn("")
	if err != nil {
		return eyes, err
	}
	members, err := auth.Members(tx, o.ID)
	if err != nil {
		return eyes, err
	}
	deciders, submitters := map[string]bool{}, map[string]bool{}
	for _, g := range in {
		if auth.Role(g.Role) == auth.Administrator {
			submitters[g.AdministratorID] = true
		}
	}
	everybody := map[string]bool{}
	for id := range submitters {
		everybody[id] = true
	}
	for _, g := range all {
		if r := auth.Role(g.Role); r == auth.Operator || r == auth.Validator {
			deciders[g.AdministratorID] = true
			everybody[g.AdministratorID] = true
		}
	}
	eyes.Approval = FourEyesState{On: len(members) >= 2, People: len(members), Needed: 2}
	// Two decide, and the third, who submits, may be one more of them.
	eyes.Evidence = FourEyesState{On: len(deciders) >= 2 && len(everybody) >= 3, People: len(everybody), Needed: 3}
	if !eyes.Approval.On {
		eyes.Approval.Why = "foureyes.approval"
	}
	if !eyes.Evidence.On {
		eyes.Evidence.Why = "foureyes.evidence"
	}
	return eyes, nil
}

// allow refuses settings that would lead nowhere. Evidence that was accepted when
// there were more people is still evidence.
func (f FourEyes) allow(s Settings, validated bool) error {
	if s.Approval && !f.Approval.On {
		return wrong("approval", f.Approval.Why, f.Approval.People, f.Approval.Needed)
	}
	if s.Kind != KindBasic && !f.Evidence.On && !validated {
		return wrong("kind", f.Evidence.Why, f.Evidence.People, f.Evidence.Needed)
	}
	return nil
}

// weaken looks at what new settings take away. Whoever turns approval or escrow
// off, or has the server make the keys from now on, must be there in person; and while there is somebody else who decides, approval stays
// on, and they are asked. Who has the server's data in hand needs nobody.
func (s *Service) weaken(ctx context.Context, tx *store.Tx, actor auth.Actor, row store.Organization, settings *Settings) (*auth.WaitsError, error) {
	old, err := ParseSettings([]byte(row.Settings))
	if err != nil || console(actor) {
		return nil, err
	}
	if old.Escrow && !settings.Escrow || old.Keys != KeysServer && settings.Keys == KeysServer {
		if err := actor.InPerson(); err != nil {
			return nil, err
		}
	}
	if !old.Approval || settings.Approval {
		return nil, nil
	}
	watched, err := auth.Watched(tx, actor, row.ID, TwoDecide, s.now())
	if err != nil {
		return nil, err
	}
	if !watched {
		return nil, actor.InPerson()
	}
	if err := actor.Again(); err != nil { // a program may ask: a person decides
		return nil, err
	}
	settings.Approval = true
	id, err := s.newID()
	if err != nil {
		return nil, err
	}
	return auth.Ask(ctx, tx, s.o.Mails.Letters(), actor, store.PendingChange{ID: id, OrganizationID: row.ID, Kind: string(auth.EndApproval)}, s.now())
}

// TwoDecide implements [auth.Rules].
func (s *Service) TwoDecide(tx *store.Tx, organization string) (bool, error) {
	return TwoDecide(tx, organization)
}

// TwoDecide tells whether an organization has its orders decided by two.
func TwoDecide(tx *store.Tx, organization string) (bool, error) {
	row, err := tx.Organization(organization)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	settings, err := ParseSettings([]byte(row.Settings))
	return settings.Approval, err
}

// EndApproval implements [auth.Rules].
func (s *Service) EndApproval(ctx context.Context, tx *store.Tx, by auth.Actor, organization string) error {
	row, err := tx.Organization(organization)
	if err != nil {
		return hidden(err)
	}
	settings, err := ParseSettings([]byte(row.Settings))
	if err != nil || !settings.Approval {
		return err
	}
	settings.Approval = false
	return s.setSettings(ctx, tx, by, organization, settings)
}
