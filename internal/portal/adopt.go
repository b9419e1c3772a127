package portal

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// Adoption is what the page for certificates by others needs of
// registration.Service.
type Adoption interface {
	ImportCertificates(ctx context.Context, actor auth.Actor, organization string, file []byte, trustRoots bool) ([]registration.Imported, error)
}

type adoptView struct {
	Organization string
	Form         form
	Did          *adopted // what came of a file; nil: none was sent
}

// adopted is what became of the certificates of a file.
type adopted struct {
	Taken     int
	Refused   []adoptedRow // why they were not taken in
	Untrusted []adoptedRow // why they are given to nobody
	More      int          // of either, beyond those that are shown
}

type adoptedRow struct{ Name, Person, Why string }

func (p *portal) adoptForm(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.showAdopt(w, r, v, http.StatusOK, form{}, nil)
}

func (p *portal) showAdopt(w http.ResponseWriter, r *http.Request, v visit, status int, f form, did *adopted) error {
	return p.render(w, r, status, "adopt", adoptView{v.organization.ID, f, did})
}

// adopt takes in the certificates of a file, and says of each what became of it.
func (p *portal) adopt(w http.ResponseWriter, r *http.Request, v visit) error {
	file, name, err := upload(r, "file")
	if err != nil {
		return err
	}
	f := formOf(r)
	if file == nil || name == "" {
		f.wrong("file", "adopt.error.file")
		return p.showAdopt(w, r, v, http.StatusUnprocessableEntity, f, nil)
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		return unreadable(err)
	}
	list, err := p.Registration.ImportCertificates(r.Context(), v.Actor(), v.organization.ID, text, f.Value("trust") != "")
	if f.taken(err) {
		for _, one := range f.Faults {
			one.Field = "file"
		}
		return p.showAdopt(w, r, v, http.StatusUnprocessableEntity, f, nil)
	}
	if err != nil {
		return err
	}
	return p.showAdopt(w, r, v, http.StatusOK, form{}, adoptedOf(list, p.tongueOf(r).tag))
}

func adoptedOf(list []registration.Imported, language string) *adopted {
	did := &adopted{}
	shown := func(rows []adoptedRow, row adoptedRow) []adoptedRow {
		if len(rows) == shownProblems {
			did.More++
			return rows
		}
		return append(rows, row)
	}
	for _, one := range list {
		if wrong, is := errors.AsType[*registration.InputError](one.Err); is {
			did.Refused = shown(did.Refused, adoptedRow{Name: one.Subject, Why: wrong.Text(language)})
			continue
		}
		did.Taken++
		if why := one.Certificate.Distrust(language); why != "" {
			did.Untrusted = shown(did.Untrusted, adoptedRow{one.Subject, one.Certificate.Person, why})
		}
	}
	return did
}
