package registration

import (
	"context"

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
	members, deciders, submitters := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, g := range in {
		if r := auth.Role(g.Role); r == auth.Administrator || r == auth.Approver {
			members[g.AdministratorID] = true
			if r == auth.Administrator {
				submitters[g.AdministratorID] = true
			}
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
