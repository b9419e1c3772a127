package portal

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	languageCookie = "mailseal-language"
	languageLife   = 365 * 24 * time.Hour
)

// tongueOf is the language of a request: the one that the person switched to,
// else what the browser asks for (RFC 9110 §12.5.4), else the default.
func (p *portal) tongueOf(r *http.Request) *tongue {
	if cookie, err := r.Cookie(languageCookie); err == nil {
		if t := p.tongue(cookie.Value); t != nil {
			return t
		}
	}
	best, quality := p.tongues[0], 0.0
	for _, item := range strings.Split(r.Header.Get("Accept-Language"), ",") {
		tag, q := languageRange(item)
		if t := p.tongue(tag); t != nil && q > quality {
			best, quality = t, q
		}
	}
	return best
}

// tongue finds a language by its tag or by a longer one such as ja-JP.
func (p *portal) tongue(tag string) *tongue {
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
	for _, t := range p.tongues {
		if t.tag == primary {
			return t
		}
	}
	return nil
}

func languageRange(item string) (tag string, quality float64) {
	tag, parameter, found := strings.Cut(strings.TrimSpace(item), ";")
	if !found {
		return tag, 1
	}
	q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(parameter), "q="), 64)
	if err != nil {
		return tag, 0
	}
	return strings.TrimSpace(tag), q
}

// chooseLanguage remembers the language and goes back to where the switch was.
func (p *portal) chooseLanguage(w http.ResponseWriter, r *http.Request) error {
	t := p.tongue(r.FormValue("tag"))
	if t == nil {
		return errNoPage
	}
	http.SetCookie(w, &http.Cookie{
		Name: languageCookie, Value: t.tag, Path: "/", MaxAge: int(languageLife.Seconds()),
		HttpOnly: true, Secure: p.Secure, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, ownPath(r.FormValue("to")), http.StatusSeeOther)
	return nil
}

// ownPath is to if it is a path of this site, and the start page otherwise:
// nobody may use the switch to lead people elsewhere.
func ownPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.Contains(to, `\`) {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}
