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

// maxAsking bounds how many orders a browser goes on with at a time: a pair.
const maxAsking = 2

// askings are the orders of this browser, in the order in which their keys are
// made.
func (p *portal) askings(r *http.Request) (list []asking) {
	cookie, err := r.Cookie(p.cookieName(orderCookie))
	if err != nil {
		return nil
	}
	for i, one := range strings.Split(cookie.Value, "~") {
		id, secret, found := strings.Cut(one, ".")
		if !found || id == "" || secret == "" || i == maxAsking {
			return nil
		}
		list = append(list, asking{id, secret})
	}
	return list
}

func (p *portal) askingOf(r *http.Request) (asking, bool) {
	list := p.askings(r)
	if len(list) == 0 {
		return asking{}, false
	}
	return list[0], true
}

func (p *portal) remember(w http.ResponseWriter, list ...asking) {
	var values []string
	for _, a := range list {
		values = append(values, a.id+"."+a.secret)
	}
	p.setCookie(w, orderCookie, strings.Join(values, "~"), orderLife, http.SameSiteLaxMode)
}
