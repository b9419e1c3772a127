package cli

import (
	"context"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// desk is what the commands on organizations, people and orders need:
// registration.Service where the data is at hand, serverDesk elsewhere.
type desk interface {
	CreateOrganization(ctx context.Context, actor auth.Actor, o registration.Organization, administrator string) (registration.Organization, error)
	Organization(ctx context.Context, actor auth.Actor, id string) (registration.Organization, error)
	Organizations(ctx context.Context, actor auth.Actor, standing registration.Standing, page registration.Page) ([]registration.Organization, string, error)
	SetSettings(ctx context.Context, actor auth.Actor, organization string, s registration.Settings) (registration.Organization, error)
	FourEyes(ctx context.Context, actor auth.Actor, organization string) (registration.FourEyes, error)
	Agreement(language string) (registration.Agreement, error)
	AcceptAgreement(ctx context.Context, actor auth.Actor, organization, version string) (registration.Organization, error)

	Domains(ctx context.Context, actor auth.Actor, organization string) ([]registration.Domain, error)
	AddDomain(ctx context.Context, actor auth.Actor, organization, name string) (registration.Domain, error)
	CheckDomain(ctx context.Context, actor auth.Actor, organization, id string) (registration.Domain, error)
	RemoveDomain(ctx context.Context, actor auth.Actor, organization, id string) error

	People(ctx context.Context, actor auth.Actor, organization string, q registration.PersonQuery, page registration.Page) ([]registration.Person, string, error)
	Person(ctx context.Context, actor auth.Actor, organization, id string) (registration.Person, error)
	AddPerson(ctx context.Context, actor auth.Actor, organization string, p registration.PersonInput) (registration.Person, error)
	PeopleLeave(ctx context.Context, actor auth.Actor, organization string, ids []string) error

	Orders(ctx context.Context, actor auth.Actor, organization string, q registration.OrderQuery, page registration.Page) ([]registration.Order, string, error)
	OrdersFor(ctx context.Context, actor auth.Actor, organization string, people []string, r registration.OrderRequest) ([]registration.Outcome, error)
	ApproveOrders(ctx context.Context, actor auth.Actor, organization string, ids []string) ([]registration.Outcome, error)
	RefuseOrders(ctx context.Context, actor auth.Actor, organization string, ids []string, reason string) ([]registration.Outcome, error)
	EnrollFor(ctx context.Context, actor auth.Actor, r registration.Request) (registration.Issued, error)
	ExternalRequest(ctx context.Context, actor auth.Actor, organization, order string) ([]byte, error)

	CertificateIn(ctx context.Context, actor auth.Actor, organization, order string, file []byte, trustRoots bool) (registration.Held, error)
	ImportCertificates(ctx context.Context, actor auth.Actor, organization string, file []byte, trustRoots bool) ([]registration.Imported, error)
	Anchors(ctx context.Context, actor auth.Actor, organization string) ([]registration.Anchor, error)
	AddAnchors(ctx context.Context, actor auth.Actor, organization string, file []byte) error
	RemoveAnchor(ctx context.Context, actor auth.Actor, organization, sha256 string) error
	Revoke(ctx context.Context, actor auth.Actor, organization string, ids []string, reason cert.Reason) (registration.Revocations, error)
}
