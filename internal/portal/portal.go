package portal

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/pdf"
	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/registration"
)

// Config is what the portal is made of. Every field is needed unless it says
// otherwise.
type Config struct {
	Orders         Orders
	Administrators Administrators
	Accounts       Accounts // nil: an account has a password and nothing else
	Authority      Authority
	Reports        Reports
	Jobs           Jobs
	Registration   Registration
	Enrollment     Enrollment
	Mine           Mine
	Figures        Figures
	Recovery       Recovery
	Certificates   Certificates
	Hierarchy      Hierarchy
	Mail           CaughtMail                // nil: there is no /dev/mail
	ReportFont     func() (*pdf.Font, error) // what reports are set in; nil, or one that returns nil: Helvetica
	Dev            bool                      // tells on every page that nothing here is to be trusted
	URL            string                    // of the portal, without a final slash
	Secure         bool                      // the portal is reached over https
	Door           string                    // address of the door for certificates, "" where there is none
	Now            func() time.Time
	Log            *slog.Logger
}

// Orders is what the portal needs of registration.Service.
type Orders interface {
	Apply(ctx context.Context, a registration.Application) (registration.Order, string, error)
	Resend(ctx context.Context, orderID, secret string) (registration.Order, error)
	Prove(ctx context.Context, orderID, secret, code string) (registration.Order, error)
	Order(ctx context.Context, orderID, secret string) (registration.Order, error)
	EnrollFor(ctx context.Context, actor auth.Actor, r registration.Request) (registration.Issued, error)
}

// Administrators is what the portal needs of auth.Service.
type Administrators interface {
	Claimed(ctx context.Context) (bool, error)
	ClaimFirstAdministrator(ctx context.Context, code, email, name, password string) (s auth.Session, token string, err error)
	SignIn(ctx context.Context, client, email, password string) (auth.Entered, error)
	Session(ctx context.Context, token string) (auth.Session, error)
	SignOut(ctx context.Context, token string) error
}

// Registration is what the pages of organizations need of registration.Service.
type Registration interface {
	Organizations
	Domains
	People
	OrganizationOrders
	Roots
	Evidence
	AuditLog
	Adoption
}

// Enrollment is what the pages need of enrollment.Service.
type Enrollment interface {
	Runs
	Invitations
}

// Authority is what the pages show of the certificate authority.
type Authority interface {
	Root(ctx context.Context) (AuthorityCertificate, error)
	Overview(ctx context.Context) (Overview, error)

	// Revoke revokes a certificate by its serial number in hexadecimal.
	// authority.ErrUnknown: there is none, or it is revoked already.
	Revoke(ctx context.Context, actor auth.Actor, serial string, reason cert.Reason) error
}

// Reports is what the portal needs of problemreport.Service.
type Reports interface {
	Statement() string
	File(ctx context.Context, r problemreport.Report) (problemreport.Filed, error)
	List(ctx context.Context, after string, limit int) (list []problemreport.Row, next string, err error)
	Answer(ctx context.Context, id, text string) error
	Revoke(ctx context.Context, actor auth.Actor, id string, reason cert.Reason) error
	Keep(ctx context.Context, id string) error
}

// Overview is the administrator's first page.
type Overview struct {
	Root         AuthorityCertificate
	Issuing      []AuthorityCertificate
	Orders       []registration.Order // newest first
	Certificates []IssuedCertificate  // newest first
}

// AuthorityCertificate is one certificate of the authority itself.
type AuthorityCertificate struct {
	Name     string // common name
	SHA256   string // fingerprint, lower-case hex
	SHA1     string // likewise; all that Windows shows
	NotAfter time.Time
	Download string // path of the DER file
}

// IssuedCertificate is one certificate of a person.
type IssuedCertificate struct {
	Serial    string // lower-case hex
	Email     string
	NotBefore time.Time
	NotAfter  time.Time
	Revoked   bool
}

type portal struct {
	Config
	streams chan struct{} // as many as pages follow runs
	tongues []*tongue     // the first is the default
	assets  assets
}

// New checks the embedded texts and templates and returns the portal's handler.
func New(c Config) (http.Handler, error) {
	p, err := newPortal(c)
	if err != nil {
		return nil, err
	}
	return p.guarded(p.routes()), nil
}

func newPortal(c Config) (*portal, error) {
	if c.Orders == nil || c.Administrators == nil || c.Authority == nil || c.Reports == nil || c.Jobs == nil || c.URL == "" || c.Now == nil || c.Log == nil {
		return nil, errors.New("portal: configuration is not complete")
	}
	if c.Registration == nil || c.Enrollment == nil || c.Mine == nil || c.Figures == nil || c.Recovery == nil || c.Certificates == nil ||
		c.Hierarchy == nil {
		return nil, errors.New("portal: configuration is not complete")
	}
	p := &portal{Config: c, streams: make(chan struct{}, streamMost)}
	var err error
	if p.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if p.tongues, err = loadTongues(); err != nil {
		return nil, err
	}
	return p, nil
}

// guarded adds what holds for every page.
func (p *portal) guarded(routes http.Handler) http.Handler {
	var protection http.CrossOriginProtection // refuses state-changing requests of other sites
	protection.SetDenyHandler(p.serve(func(http.ResponseWriter, *http.Request) error { return errForeign }))
	return headers(protection.Handler(routes))
}

func (p *portal) routes() *http.ServeMux {
	mux := http.NewServeMux()
	p.answers(func(pattern string, h handler) { mux.Handle(pattern, p.serve(h)) })
	mux.Handle("GET /static/{name}", p.assets)
	return mux
}

// Patterns are all that a portal answers to, as [http.ServeMux] writes them, but
// for its own files and for what is not there. Tests hold their lists of pages
// against them.
func Patterns() (list []string) {
	type accounts interface{ Accounts }
	p := &portal{Config: Config{Accounts: struct{ accounts }{}, Mail: struct{ CaughtMail }{}}}
	p.answers(func(pattern string, _ handler) {
		if pattern != "/" {
			list = append(list, pattern)
		}
	})
	return list
}

// answers are the pages, each by its pattern.
func (p *portal) answers(handle func(pattern string, h handler)) {
	handle("GET /{$}", p.start)
	handle("GET /apply", p.applyForm)
	handle("POST /apply", p.apply)
	handle("GET /code", p.codeForm)
	handle("POST /code", p.prove)
	handle("POST /code/resend", p.resend)
	handle("GET /key", p.keyPage)
	handle("POST /key", p.enroll)
	handle("GET /key/keepers", p.keepers)
	handle("GET /install", p.install)
	handle("GET /install/{file}", p.setupFile)
	handle("POST /language", p.chooseLanguage)
	handle("GET /admin", p.signedIn(anyAccount, p.begin))
	handle("GET /admin/sign-in", p.signInForm)
	handle("POST /admin/sign-in", p.signIn)
	handle("POST /admin/sign-out", p.signOut)
	handle("GET /admin/claim", p.claimForm)
	handle("POST /admin/claim", p.claim)
	handle("GET /report", p.reportForm)
	handle("POST /report", p.report)
	handle("GET /admin/reports", p.signedIn(may(auth.Operator), p.reports))
	handle("POST /admin/reports/answer", p.signedIn(may(auth.Operator), p.answerReport))
	handle("POST /admin/reports/decide", p.signedIn(may(auth.Operator), p.decideReport))
	handle("GET /admin/revoke", p.signedIn(may(auth.Operator), p.revokeForm))
	handle("POST /admin/revoke", p.signedIn(may(auth.Operator), p.revoke))
	if p.Accounts != nil {
		p.signInRoutes(handle)
	}
	p.organizationRoutes(handle)
	p.authorityRoutes(handle)
	p.ownRoutes(handle)
	if p.Mail != nil {
		handle("GET /dev/mail", p.mailList)
		handle("GET /dev/mail/{id}", p.mailDetail)
		handle("GET /dev/mail/{id}/raw", p.mailRaw)
	}
	handle("/", func(http.ResponseWriter, *http.Request) error { return errNoPage })
}
