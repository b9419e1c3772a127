package portal

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/validation"
)

// Invitations is what waits for people under links, of enrollment.Service.
type Invitations interface {
	Waiting(ctx context.Context, id string) (enrollment.Waiting, error)
	Redeem(ctx context.Context, id, code string) ([]enrollment.Opened, error)
	Passphrase(ctx context.Context, actor auth.Actor, id string) (string, error)
	PickUp(ctx context.Context, id, code, client string, old []enrollment.Old) ([]byte, error)
}

type pickupView struct {
	ID, Mode string
	Form     form
}

// pickup opens and proves nothing: scanners follow the links in mails.
func (p *portal) pickup(w http.ResponseWriter, r *http.Request) error {
	return p.showPickup(w, r, http.StatusOK, filled("client", importer[deviceOf(r.UserAgent())]))
}

func (p *portal) showPickup(w http.ResponseWriter, r *http.Request, status int, f form) error {
	waiting, err := p.Enrollment.Waiting(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if waiting.State == enrollment.PickupTaken {
		return p.gone(w, r)
	}
	if waiting.State != enrollment.PickupWaiting {
		return errPickup
	}
	return p.render(w, r, status, "pickup", pickupView{ID: waiting.ID, Mode: waiting.Mode, Form: f})
}

// importer is what imports a file on a device, as enrollment calls it.
var importer = map[string]string{"iphone": "ios", "android": "android", "outlook": "outlook", "applemail": "apple", "thunderbird": "any"}

// gone: what could be had once is had.
func (p *portal) gone(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusGone, "gone", struct{}{})
}

// redeem takes the code of an invitation. A key that is made in the browser goes
// on at the page for keys, as the order of this browser; a file that was made
// here is the answer.
func (p *portal) redeem(w http.ResponseWriter, r *http.Request) error {
	old, err := oldFile(r)
	if err != nil {
		return err
	}
	f, id := formOf(r), r.PathValue("id")
	if len(old) == 0 && f.Value("old-passphrase") != "" { // the file is given out once: it must not leave keys behind
		f.wrong("old", "pickup.error.nofile")
		return p.showPickup(w, r, http.StatusUnprocessableEntity, f)
	}
	waiting, err := p.Enrollment.Waiting(r.Context(), id)
	if err != nil {
		return err
	}
	if waiting.Mode == enrollment.ModeServerKeys {
		var file []byte
		if file, err = p.Enrollment.PickUp(r.Context(), id, f.Value("code"), f.Value("client"), old); err == nil {
			attach(w, "application/x-pkcs12", "certificate.p12")
			_, _ = w.Write(file) // the client is gone: there is a new one to ask for
			return nil
		}
	} else {
		var opened []enrollment.Opened
		if opened, err = p.Enrollment.Redeem(r.Context(), id, f.Value("code")); err == nil {
			return p.makeKeys(w, r, opened)
		}
	}
	switch {
	case errors.Is(err, validation.ErrNotACode), errors.Is(err, registration.ErrNotACode):
		f.wrong("code", "code.error.form")
	case errors.Is(err, enrollment.ErrWrongCode), errors.Is(err, registration.ErrWrongCode):
		f.wrong("code", "pickup.error.code")
	case errors.Is(err, enrollment.ErrOld):
		f.wrong("old", "pickup.error.old")
	case errors.Is(err, enrollment.ErrGone):
		return p.gone(w, r)
	default:
		return err
	}
	return p.showPickup(w, r, http.StatusUnprocessableEntity, f)
}

// oldFile reads the form, and the file with keys from before where there is one.
func oldFile(r *http.Request) ([]enrollment.Old, error) {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "multipart/form-data" {
		return nil, readForm(r)
	}
	file, name, err := upload(r, "old")
	if err != nil || file == nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, enrollment.MaxOld+1))
	if err != nil || name == "" || len(data) == 0 { // a field that was left empty
		return nil, unreadable(err)
	}
	return []enrollment.Old{{File: data, Passphrase: []byte(r.PostFormValue("old-passphrase"))}}, nil
}

// makeKeys makes orders those of this browser and leads to where their keys are
// made.
func (p *portal) makeKeys(w http.ResponseWriter, r *http.Request, opened []enrollment.Opened) error {
	var list []asking
	for _, o := range opened {
		list = append(list, asking{o.Order.ID, o.Secret})
	}
	p.remember(w, list...)
	return seeOther(w, r, "/key")
}

// passphrase shows what opens a file to the person whose it is: it is not in the
// mail that leads to the file.
func (p *portal) passphrase(w http.ResponseWriter, r *http.Request, actor auth.Actor) error {
	passphrase, err := p.Enrollment.Passphrase(r.Context(), actor, r.PathValue("id"))
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, "passphrase", passphraseView{r.PathValue("id"), passphrase})
}

type passphraseView struct{ ID, Passphrase string }
