package portal

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/recovery"
)

// ownKeysView is the page of a person's own keys that organizations keep.
type ownKeysView struct {
	Organizations []ownKeysRow
	Waiting       []waitingRow // what can be picked up
	Label         string       // of the file: the person's address
	Form          form
	Notice        *notice
}

type ownKeysRow struct {
	ID, Name   string
	Keys       []certificateRow
	Requests   []requestRow
	Recipients []certificateRow // that keys can be released to
	MayAsk     bool             // nothing is open, and a key is kept that may be missing
}

type certificateRow struct {
	SHA256, Address string
	From, Until     time.Time
}

type waitingRow struct {
	ID, Organization, Certificate, SHA256 string
	Keys                                  int
	Until                                 time.Time
}

func certificateRowOf(c *cert.Certificate) certificateRow {
	return certificateRow{c.SHA256(), strings.Join(c.Emails(), ", "), c.NotBefore, c.NotAfter}
}

var ownKeysDone = map[string]string{"asked": "ownkeys.asked", "withdrawn": "ownkeys.withdrawn"}

func (p *portal) ownKeys(w http.ResponseWriter, r *http.Request, actor auth.Actor) error {
	return p.showOwnKeys(w, r, actor, http.StatusOK, form{})
}

func (p *portal) showOwnKeys(w http.ResponseWriter, r *http.Request, actor auth.Actor, status int, f form) error {
	kept, err := p.Recovery.Own(r.Context(), actor)
	if err != nil {
		return err
	}
	view := ownKeysView{Form: f, Notice: doneNotice(r, ownKeysDone)}
	for _, o := range kept {
		row := ownKeysRow{ID: o.Organization, Name: o.Name, MayAsk: len(o.Keys) > 0}
		recipients, err := p.Recovery.Recipients(r.Context(), actor, o.Organization)
		if err != nil {
			return err
		}
		for _, c := range recipients {
			row.Recipients = append(row.Recipients, certificateRowOf(c))
		}
		for _, k := range o.Keys {
			row.Keys = append(row.Keys, certificateRowOf(k.Certificates[0]))
		}
		for _, request := range o.Requests {
			one := requestRowOf(request)
			row.Requests, row.MayAsk = append(row.Requests, one), row.MayAsk && !one.Open
			if (request.State == recovery.Ready || request.State == recovery.Released) && p.Now().Before(request.Expires) {
				view.Waiting = append(view.Waiting, waitingRow{request.ID, o.Organization, one.Certificate, one.SHA256, one.Keys, one.Expires})
			}
		}
		view.Organizations = append(view.Organizations, row)
	}
	if len(view.Waiting) > 0 {
		view.Label = view.Waiting[0].Certificate
	}
	return p.render(w, r, status, "ownkeys", view)
}

// ownKeysDid answers a form of the page.
func (p *portal) ownKeysDid(w http.ResponseWriter, r *http.Request, actor auth.Actor, f form, done string, err error) error {
	switch {
	case err == nil:
		return seeOther(w, r, "/mine/keys?done="+done)
	case f.taken(err):
	case errors.Is(err, recovery.ErrSigns):
		f.wrong("", "recovery.fault.signs")
	case errors.Is(err, recovery.ErrState):
		f.wrong("", "recovery.fault.state")
	default:
		return err
	}
	for _, fault := range f.Faults { // the fields have the organization in their names
		fault.Field = ""
	}
	return p.showOwnKeys(w, r, actor, http.StatusUnprocessableEntity, f)
}

func (p *portal) askOwnKeys(w http.ResponseWriter, r *http.Request, actor auth.Actor) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	list, err := p.Recovery.RequestOwn(r.Context(), actor, f.Value("organization"), f.Value("recipient"), f.Value("reason"))
	if err != nil && len(list) > 0 { // the officers of some of the keys are asked, those of others cannot be
		f.wrong("", "ownkeys.partly")
	}
	return p.ownKeysDid(w, r, actor, f, "asked", err)
}

func (p *portal) withdrawOwnKeys(w http.ResponseWriter, r *http.Request, actor auth.Actor) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	return p.ownKeysDid(w, r, actor, f, "withdrawn", p.Recovery.Withdraw(r.Context(), actor, f.Value("organization"), f.Value("request")))
}

// releaseOwnKeys gives the page's script what the officers released, or the
// person a file for `mailseal recovery open`.
func (p *portal) releaseOwnKeys(w http.ResponseWriter, r *http.Request, actor auth.Actor) error {
	if err := readForm(r); err != nil {
		return err
	}
	bundle, err := p.Recovery.Release(r.Context(), actor, r.PostFormValue("organization"), r.PostFormValue("request"))
	if err != nil {
		return err
	}
	return recoveryFile(w, "recovered.json", bundle)
}
