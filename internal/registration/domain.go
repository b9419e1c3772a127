package registration

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// DomainState is where a domain stands.
type DomainState string

// The states of a domain.
const (
	DomainWaiting DomainState = "waiting" // nobody has seen its token in the DNS yet
	DomainProven  DomainState = "proven"
	DomainLapsed  DomainState = "lapsed" // the proof has expired, and the DNS no longer shows the token
)

// Domain is a mail domain that an organization says is its own. Certificates for
// mailboxes in a proven one need no code by mail.
type Domain struct {
	ID           string
	Organization string
	Name         string // A-labels
	State        DomainState
	Token        string
	RecordName   string // where the DNS is to have the TXT record
	RecordValue  string // and what it is to say
	Created      time.Time
	Checked      time.Time
	Proven       time.Time
	Expires      time.Time

	// Trouble is what the last look found instead of a proof; [Domain.Problem] says
	// it in words.
	Trouble string
}

// Problem says what the last look found instead of a proof, empty if it found
// one or nobody looked.
func (d Domain) Problem(language string) string {
	key, detail, _ := strings.Cut(d.Trouble, " ")
	switch validation.DomainProblem(key) {
	case validation.DomainShown:
		return ""
	case validation.DomainOther, validation.DomainNoAnswer:
		return Text(language, "domain."+key, d.RecordName, detail)
	}
	return Text(language, "domain."+key, d.RecordName)
}

// maxDomains limits the domains of an organization.
const maxDomains = 200

func domainOf(row store.Domain) Domain {
	d := Domain{
		ID: row.ID, Organization: row.OrganizationID, Name: row.Name, State: DomainState(row.State), Token: row.Token,
		Created: row.Created, Checked: row.Checked, Proven: row.Proven, Expires: row.Expires, Trouble: row.Problem,
	}
	d.RecordName, d.RecordValue = validation.DomainRecord(row.Name, row.Token)
	return d
}

// AddDomain says that a domain is the organization's. The answer tells which
// record proves it.
func (s *Service) AddDomain(ctx context.Context, actor auth.Actor, organization, name string) (Domain, error) {
	if !administers(actor, organization) {
		return Domain{}, ErrForbidden
	}
	domain, err := mailbox.ParseDomain(strings.TrimPrefix(strings.Trim(name, " \t\r\n\u3000"), "@"))
	if err != nil {
		return Domain{}, wrong("domain", "input.domain", err.Error())
	}
	if !strings.Contains(domain, ".") {
		return Domain{}, wrong("domain", "input.domain", "one label is no mail domain")
	}
	row := store.Domain{OrganizationID: organization, Name: domain, Created: s.now(), TokenAt: s.now(), State: string(DomainWaiting)}
	if row.ID, err = s.newID(); err != nil {
		return Domain{}, err
	}
	if row.Token, err = s.o.Validation.NewDomainToken(); err != nil {
		return Domain{}, err
	}
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := tx.Organization(organization)
		if err != nil {
			return hidden(err)
		}
		if o.Standing == string(StandingClosed) {
			return ErrState
		}
		has, err := tx.Domains(organization)
		if err != nil {
			return err
		}
		if len(has) >= maxDomains {
			return wrong("domain", "input.domains", maxDomains)
		}
		if err := tx.InsertDomain(row); err != nil {
			return conflicting(err, wrong("domain", "input.domain.twice", domain))
		}
		return s.act(ctx, tx, actor, store.ActDomain, row.ID, map[string]string{"organization": organization, "name": domain})
	})
	if err != nil {
		return Domain{}, err
	}
	return domainOf(row), nil
}

// Domains lists an organization's domains by name.
func (s *Service) Domains(ctx context.Context, actor auth.Actor, organization string) (list []Domain, err error) {
	if !reads(actor, organization) {
		return nil, ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Domains(organization)
		for _, row := range rows {
			list = append(list, domainOf(row))
		}
		return err
	})
	return list, err
}

// CheckDomain looks whether the DNS shows the token, and writes down what it
// found. A domain that is proven stays so until its proof ends, whatever a look
// finds meanwhile.
func (s *Service) CheckDomain(ctx context.Context, actor auth.Actor, organization, id string) (Domain, error) {
	if !administers(actor, organization) {
		return Domain{}, ErrForbidden
	}
	return s.checkDomain(ctx, actor, organization, id)
}

func (s *Service) checkDomain(ctx context.Context, actor auth.Actor, organization, id string) (Domain, error) {
	var row store.Domain
	err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.Domain(organization, id)
		return hidden(err)
	})
	if err != nil {
		return Domain{}, err
	}
	finding, err := s.o.Validation.LookAtDomain(ctx, row)
	if errors.Is(err, validation.ErrNoResolver) {
		return Domain{}, wrong("domain", "input.resolver")
	}
	if err != nil {
		return Domain{}, err
	}
	taken := false
	err = s.o.Store.Update(ctx, func(tx *store.Tx) (err error) {
		taken = false
		if finding.Problem == validation.DomainShown {
			if row, err = s.proveDomain(ctx, tx, actor, row, finding); errors.Is(err, store.ErrConflict) {
				taken, err = true, tx.DomainChecked(id, string(domainTaken), s.now())
			}
			return err
		}
		if finding.Problem == validation.DomainTokenOver {
			if row.Token, err = s.o.Validation.NewDomainToken(); err != nil {
				return err
			}
			if err := tx.SetDomainToken(id, row.Token, s.now()); err != nil {
				return err
			}
		}
		return tx.DomainChecked(id, strings.TrimSpace(string(finding.Problem)+" "+finding.Detail), s.now())
	})
	if err != nil {
		return Domain{}, conflicting(err, ErrForbidden) // taken away meanwhile
	}
	if taken {
		return Domain{}, wrong("domain", "input.domain.taken", row.Name)
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.Domain(organization, id)
		return hidden(err)
	})
	return domainOf(row), err
}

// domainTaken: another organization has proven it.
const domainTaken validation.DomainProblem = "taken"

func (s *Service) proveDomain(ctx context.Context, tx *store.Tx, actor auth.Actor, row store.Domain, f validation.DomainFinding) (store.Domain, error) {
	proven, err := s.o.Validation.ProveDomain(tx, row, f)
	if err != nil {
		return row, err
	}
	return proven, s.act(ctx, tx, actor, store.ActDomainProven, row.ID, map[string]string{
		"organization": row.OrganizationID, "name": row.Name, "method": proven.Method, "until": proven.Expires.Format(time.RFC3339),
	})
}

// RemoveDomain takes a domain from an organization. Certificates that exist stay;
// no new ones rely on it.
func (s *Service) RemoveDomain(ctx context.Context, actor auth.Actor, organization, id string) error {
	if !administers(actor, organization) {
		return ErrForbidden
	}
	return s.o.Store.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.Domain(organization, id)
		if err != nil {
			return hidden(err)
		}
		if err := tx.DeleteDomain(organization, id); err != nil {
			return err
		}
		return s.act(ctx, tx, actor, store.ActDomainRemoved, id, map[string]string{"organization": organization, "name": row.Name})
	})
}

// How proofs of domains are kept up: looked at anew a month before they end.
const (
	domainAhead  = 30 * 24 * time.Hour
	domainAtOnce = 50
	// PartDomains is the part of the server that does so.
	PartDomains = "domains"
)

// MaintainDomains proves anew what still shows its token and is about to end,
// and ends what is over. The server calls it every hour.
func (s *Service) MaintainDomains(ctx context.Context) error {
	var rows []store.Domain
	err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.EndingDomains(s.now().Add(domainAhead), domainAtOnce)
		return err
	})
	if err != nil {
		return err
	}
	var all []error
	for _, row := range rows {
		all = append(all, s.keepDomain(ctx, row))
	}
	return errors.Join(all...)
}

func (s *Service) keepDomain(ctx context.Context, row store.Domain) error {
	actor := auth.Server(PartDomains)
	d, err := s.checkDomain(ctx, actor, row.OrganizationID, row.ID)
	if err != nil && !errors.Is(err, ErrInput) && !errors.Is(err, ErrForbidden) {
		return err
	}
	if err == nil && d.Expires.After(row.Expires) || s.now().Before(row.Expires) {
		return nil
	}
	return s.o.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Domain(row.OrganizationID, row.ID)
		if err != nil || s.now().Before(now.Expires) || now.State != string(DomainProven) {
			return conflicting(err, nil)
		}
		if err := tx.DomainLapsed(row.ID, now.Problem); err != nil {
			return err
		}
		return s.act(ctx, tx, actor, store.ActDomainLapsed, row.ID, map[string]string{"organization": row.OrganizationID, "name": row.Name})
	})
}
