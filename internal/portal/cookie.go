package portal

import (
	"net/http"
	"strings"
	"time"
)

// The cookies. orderCookie is the asking session of threat "mail scanner": it
// holds the order's number and its 256-bit secret, and only who sends it back
// can use a code. It is Lax, because a person may come back to the page by a
// link in a mail on the web; Lax keeps it from the POSTs of other sites.
const (
	orderCookie = "mailseal-order"
	adminCookie = "mailseal-admin"
	orderLife   = 24 * time.Hour
)

// cookieName puts __Host- in front where the portal is served over https: the
// browser then takes the cookie only with Secure, for this host and for all of
// it, and a neighbouring host cannot plant one (session fixation). On loopback
// there is plain http, on which Safari refuses Secure cookies, and no neighbour.
func (p *portal) cookieName(name string) string {
	if p.Secure {
		return "__Host-" + name
	}
	return name
}

func (p *portal) setCookie(w http.ResponseWriter, name, value string, life time.Duration, site http.SameSite) {
	http.SetCookie(w, &http.Cookie{
		Name: p.cookieName(name), Value: value, Path: "/", MaxAge: int(life.Seconds()),
		HttpOnly: true, Secure: p.Secure, SameSite: site,
	})
}

func (p *portal) dropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{
		Name: p.cookieName(name), Path: "/", MaxAge: -1, HttpOnly: true, Secure: p.Secure,
	})
}

// asking is what the order cookie holds: which order, and the proof that this
// browser asked for it.
type asking struct{ id, secret string }

func (p *portal) askingOf(r *http.Request) (asking, bool) {
	cookie, err := r.Cookie(p.cookieName(orderCookie))
	if err != nil {
		return asking{}, false
	}
	id, secret, found := strings.Cut(cookie.Value, ".")
	return asking{id, secret}, found && id != "" && secret != ""
}

func (p *portal) remember(w http.ResponseWriter, a asking) {
	p.setCookie(w, orderCookie, a.id+"."+a.secret, orderLife, http.SameSiteLaxMode)
}
