package portal

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/export"
	"github.com/mailseal/mailseal/internal/registration"
)

// Certificates gives the certificates that others encrypt to, and those of the
// authorities.
type Certificates interface {
	// Chain is the root, and the issuing authorities below it.
	Chain(ctx context.Context) (root *cert.Certificate, issuing []*cert.Certificate, err error)
	// Encryption lists the valid certificates that mail to a person of an
	// organization is encrypted with, the newest first.
	Encryption(ctx context.Context, actor auth.Actor, person registration.Person) ([]*cert.Certificate, error)
	// Sign signs a configuration profile with the installation's certificate.
	Sign(ctx context.Context, p export.AppleProfile) ([]byte, error)
}

type colleaguesView struct {
	Organization string
	Form         form
}

func (p *portal) colleagues(w http.ResponseWriter, r *http.Request, v visit) error {
	base := "ou=people,dc=example,dc=com"
	domains, err := p.Registration.Domains(r.Context(), v.Actor(), v.organization.ID)
	if err != nil {
		return err
	}
	if len(domains) > 0 {
		base = "ou=people,dc=" + strings.ReplaceAll(domains[0].Name, ".", ",dc=")
	}
	return p.render(w, r, http.StatusOK, "colleagues", colleaguesView{v.organization.ID, filled("base", base)})
}

func (p *portal) authoritiesSST(w http.ResponseWriter, r *http.Request, _ visit) error {
	root, issuing, err := p.Certificates.Chain(r.Context())
	if err != nil {
		return err
	}
	attach(w, "application/octet-stream", "authorities.sst")
	_, _ = w.Write(export.SST(append([]*cert.Certificate{root}, issuing...))) // the client is gone: nobody left to tell
	return nil
}

func (p *portal) authoritiesPEM(w http.ResponseWriter, r *http.Request, _ visit) error {
	root, issuing, err := p.Certificates.Chain(r.Context())
	if err != nil {
		return err
	}
	attach(w, "application/x-pem-file", "chain.pem")
	for _, c := range append(issuing, root) {
		_, _ = w.Write(c.PEM()) // likewise
	}
	return nil
}

// colleague is somebody with a certificate.
type colleague struct {
	registration.Person
	certificates []*cert.Certificate
}

// eachColleague gives everybody of an organization who has a valid certificate
// to encrypt to.
func (p *portal) eachColleague(ctx context.Context, v visit, each func(colleague) error) error {
	page := registration.Page{Limit: registration.MaxPage}
	for {
		list, next, err := p.Registration.People(ctx, v.Actor(), v.organization.ID, registration.PersonQuery{State: registration.PersonValid}, page)
		if err != nil {
			return err
		}
		for _, one := range list {
			certificates, err := p.Certificates.Encryption(ctx, v.Actor(), one)
			if err != nil {
				return err
			}
			if len(certificates) == 0 || len(one.Addresses) == 0 {
				continue
			}
			if err := each(colleague{one, certificates}); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		page.After = next
	}
}

// maxBase bounds what the entries of a directory are to be below.
const maxBase = 200

func (p *portal) peopleLDIF(w http.ResponseWriter, r *http.Request, v visit) error {
	base := r.URL.Query().Get("base")
	if base == "" || len(base) > maxBase || strings.ContainsAny(base, "\r\n\x00") || !strings.Contains(base, "=") {
		return errUnreadable
	}
	attach(w, "text/x-ldif; charset=utf-8", "people.ldif")
	l := export.NewLDIF(w, base)
	return p.cutOff(p.eachColleague(r.Context(), v, func(c colleague) error {
		e := export.Entry{Name: c.Name, Surname: c.Surname, GivenName: c.GivenName, Mail: c.Addresses[0]}
		for _, one := range c.certificates {
			e.Certificates = append(e.Certificates, one.Raw)
		}
		return l.Write(e)
	}))
}

func (p *portal) peopleScript(w http.ResponseWriter, r *http.Request, v visit) error {
	attach(w, "text/plain; charset=utf-8", "people.ps1")
	if err := export.ActiveDirectoryHead(w); err != nil {
		return err
	}
	return p.cutOff(p.eachColleague(r.Context(), v, func(c colleague) error {
		return export.ActiveDirectoryPerson(w, c.Addresses[0], c.certificates[0])
	}))
}

// cutOff ends an answer that is under way and cannot be finished, so that nobody
// takes its beginning for the whole.
func (p *portal) cutOff(err error) error {
	if err != nil {
		p.Log.Error("file cut off", "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

type lookupView struct {
	Path     string
	Form     form
	Searched bool
	Found    []foundRow
	More     bool // people are called so
}

type foundRow struct {
	ID, Name, Address, SHA256 string
	registration.Held
}

// shownFound is how many colleagues a look-up shows.
const shownFound = 20

// lookup finds a colleague's certificate by name or address.
func (p *portal) lookup(w http.ResponseWriter, r *http.Request, v visit) error {
	f := form{Values: r.URL.Query()}
	view := lookupView{Path: "/org/" + v.organization.ID + "/lookup", Form: f, Searched: strings.TrimSpace(f.Value("q")) != ""}
	if view.Searched {
		q := registration.PersonQuery{Text: f.Value("q"), State: registration.PersonValid}
		list, next, err := p.Registration.People(r.Context(), v.Actor(), v.organization.ID, q, registration.Page{Limit: shownFound})
		if err != nil && !view.Form.taken(err) {
			return err
		}
		for _, one := range list {
			view.Found = append(view.Found, found(one, p)...)
		}
		view.More = next != ""
	}
	return p.render(w, r, http.StatusOK, "lookup", view)
}

func found(one registration.Person, p *portal) (rows []foundRow) {
	for _, c := range one.Certificates {
		if c.Valid(p.Now()) && c.Trusted() && c.Use != "signing" && len(one.Addresses) > 0 {
			return []foundRow{{one.ID, one.Name, one.Addresses[0], c.SHA256, c}}
		}
	}
	return nil
}

func (p *portal) lookedUp(w http.ResponseWriter, r *http.Request, v visit) error {
	id := strings.TrimSuffix(r.PathValue("person"), ".cer")
	one, err := p.Registration.Person(r.Context(), v.Actor(), v.organization.ID, id)
	if err != nil {
		return err
	}
	list, err := p.Certificates.Encryption(r.Context(), v.Actor(), one)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errNoPage
	}
	attach(w, "application/pkix-cert", fmt.Sprintf("%x.cer", list[0].Serial))
	_, _ = w.Write(list[0].Raw) // the client is gone: nobody left to tell
	return nil
}
