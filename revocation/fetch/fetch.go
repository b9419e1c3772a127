// Package fetch asks the sources of revocation information that certificates
// name: OCSP responders (RFC 6960, RFC 9654, RFC 9919) and distribution points
// of revocation lists (RFC 5280 §4.2.1.13, §4.2.1.15). On request it also fetches
// certificates of authorities that are missing ([Fetcher.Issuers]). It is the only
// package of the library that dials.
//
// Start with [New]; a [Fetcher] goes into revocation.Options or
// smime.OpenOptions. Those ask it only about certificates whose path ends at a
// trust anchor, so that nobody can have this program fetch by sending a mail
// with a certificate of their own making.
//
// # What is fetched
//
// http only, since what comes is signed; from public addresses only, which is
// looked at when a connection is made, with the resolved address; and no more,
// nor longer, than the limits below. Nothing is said to a source but which
// certificate is asked about. No proxy and no environment variable is heard.
package fetch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/revocation"
)

// Limits on what one Fetcher does.
const (
	// DefaultTimeout is for everything together.
	DefaultTimeout = 10 * time.Second
	// MaxRequests limits the requests, redirects not counted.
	MaxRequests = 20
	// MaxRedirects limits the redirects of one request.
	MaxRedirects = 3
	// MaxSources limits the URLs of one kind that are tried for one
	// certificate.
	MaxSources = 4
	// MaxCRLSize limits a list that is fetched; one in a file may be larger.
	MaxCRLSize = 10 << 20
	// MaxCacheAge is how long anything is kept: a list may be good for a year,
	// and the next one be there tomorrow.
	MaxCacheAge = 24 * time.Hour

	maxHeader = 64 << 10
)

// Options of a Fetcher. The zero value is the safe choice.
type Options struct {
	Timeout time.Duration // for all requests together; DefaultTimeout when 0
	Cache   Cache         // nil keeps nothing
	// Now is when this is, for the cache. The zero value uses none.
	Now time.Time
	// Rand makes nonces; nil is crypto/rand.
	Rand io.Reader
	// Resolver finds addresses; nil is the system's.
	Resolver *net.Resolver
	// Loopback also allows the addresses of this machine itself: for tests and
	// demonstrations. In a program that reads mail of strangers it would let
	// them reach what listens here and trusts whoever is here.
	Loopback bool
}

// Fetcher asks sources. It is for one message, or a few at the same time, and
// not for concurrent use.
type Fetcher struct {
	ctx      context.Context
	o        Options
	client   *http.Client
	requests int           // made so far
	left     time.Duration // of the time for all of them
	files    map[string]issuersFile
}

var _ revocation.Fetcher = (*Fetcher)(nil)

// New makes a Fetcher that ends its work when ctx does.
func New(ctx context.Context, o *Options) *Fetcher {
	f := &Fetcher{ctx: ctx, left: DefaultTimeout}
	if o != nil {
		f.o = *o
	}
	if f.o.Timeout > 0 {
		f.left = f.o.Timeout
	}
	if f.o.Rand == nil {
		f.o.Rand = rand.Reader
	}
	dialer := &net.Dialer{Control: f.control, Resolver: f.o.Resolver, KeepAlive: -1}
	f.client = &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxResponseHeaderBytes: maxHeader,
			DisableCompression: true, DisableKeepAlives: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > MaxRedirects {
				return fmt.Errorf("more than %d redirects", MaxRedirects)
			}
			return f.checkURL(r.URL)
		},
	}
	return f
}

// task is one question about one certificate.
type task struct {
	*Fetcher
	c, issuer *cert.Certificate
	answers   func(revocation.Evidence) bool
	got       revocation.Evidence // all that came
	kept      []kept              // what will be put into the cache
	failures  []string
}

// Fetch asks the OCSP responders that c names, and then the distribution points
// of its lists, until one answers.
func (f *Fetcher) Fetch(c, issuer *cert.Certificate, answers func(revocation.Evidence) bool) (revocation.Evidence, error) {
	t := &task{Fetcher: f, c: c, issuer: issuer, answers: answers}
	if t.remember() || t.askResponders() || t.askPoints() {
		t.keep()
		return t.got, nil
	}
	if len(t.failures) == 0 {
		t.failures = []string{"it names no source that can be asked"}
	}
	return t.got, errors.New(strings.Join(t.failures, "; "))
}

// fail notes why a source did not help.
func (t *task) fail(source string, err error) {
	const most = 4
	if len(t.failures) < most {
		t.failures = append(t.failures, fmt.Sprintf("%s: %s", clean(source), clean(describe(err))))
	}
}

// describe leaves the request out of an error about it: the source is named
// already.
func describe(err error) string {
	var about *url.Error
	for errors.As(err, &about) {
		err = about.Err
	}
	return err.Error()
}

// clean makes one line of visible text: it comes from a stranger's certificate
// or server.
func clean(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "..."
	}
	return s
}

// get asks with GET, or where there is a body with POST.
func (f *Fetcher) get(source, body, contentType string, limit int64) ([]byte, error) {
	u, err := url.Parse(source)
	if err != nil {
		return nil, errors.New("it is no URL")
	}
	if err := f.checkURL(u); err != nil {
		return nil, err
	}
	if f.requests++; f.requests > MaxRequests {
		return nil, fmt.Errorf("more than %d requests", MaxRequests)
	}
	if f.left <= 0 {
		return nil, errors.New("no time is left")
	}
	began := time.Now() // monotonic: how long, not when
	defer func() { f.left -= time.Since(began) }()
	ctx, cancel := context.WithTimeout(f.ctx, f.left)
	defer cancel()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "mailseal")
	if body != "" {
		request.Header.Set("Content-Type", contentType)
	}
	return f.do(request, limit)
}

// errStatus is an answer of HTTP that is none to the question.
type errStatus int

func (s errStatus) Error() string { return fmt.Sprintf("HTTP status %d", int(s)) }

func (f *Fetcher) do(request *http.Request, limit int64) ([]byte, error) {
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errStatus(response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d octets", limit)
	}
	return data, err
}
