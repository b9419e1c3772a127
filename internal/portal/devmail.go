package portal

import (
	"net/http"
	"strings"

	"github.com/mailseal/mailseal/internal/mailout/catcher"
)

// CaughtMail is what /dev/mail needs of the catcher.
type CaughtMail interface {
	List(limit int) ([]catcher.Mail, error)
	Get(id string) (catcher.Mail, error)
}

// maxMails bounds the page of caught mails, newest first.
const maxMails = 500

// mailList shows what was caught: a page for people, and for programs, which
// say Accept: application/json, the list of catcher.Mail.
func (p *portal) mailList(w http.ResponseWriter, r *http.Request) error {
	mails, err := p.Mail.List(maxMails)
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		return writeJSON(w, "application/json", http.StatusOK, mails)
	}
	return p.render(w, r, http.StatusOK, "mails", mails)
}

func (p *portal) mailDetail(w http.ResponseWriter, r *http.Request) error {
	mail, err := p.Mail.Get(r.PathValue("id"))
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		return writeJSON(w, "application/json", http.StatusOK, mail)
	}
	return p.render(w, r, http.StatusOK, "mail", mail)
}

// mailRaw gives the file as it is, never for display: it is somebody else's
// bytes.
func (p *portal) mailRaw(w http.ResponseWriter, r *http.Request) error {
	mail, err := p.Mail.Get(r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "message/rfc822")
	w.Header().Set("Content-Disposition", `attachment; filename="`+mail.ID+`.eml"`)
	_, _ = w.Write([]byte(mail.Raw)) // the client is gone: nobody left to tell
	return nil
}
