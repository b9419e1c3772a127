package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/mailseal/mailseal/internal/config"
)

// certificates is where the portal's TLS certificate comes from.
type certificates interface {
	// settings are those of a TLS listener.
	settings() *tls.Config
	// challenges answers what an ACME server asks over HTTP, and leaves the
	// rest to next.
	challenges(next http.Handler) http.Handler
	// watch keeps the certificate fresh until ctx ends.
	watch(ctx context.Context)
	// notAfter is when the present certificate ends, zero when there is none.
	notAfter() time.Time
}

func (c *Config) openCertificates() (certificates, error) {
	switch {
	case c.Dev || c.Settings.Plain():
		return nil, nil
	case c.Settings.TLSByFile():
		return openPair(c)
	}
	return openACME(c)
}

// rereadEvery is how soon a certificate that was replaced on disk is taken up
// without anybody asking.
const rereadEvery = 30 * time.Second

// pair is a certificate and key from files.
type pair struct {
	portal      *config.Portal
	credentials string
	log         *slog.Logger
	ask         <-chan struct{}
	now         atomic.Pointer[tls.Certificate]
	seen        string // what the files looked like when they were read; of watch
}

func openPair(c *Config) (*pair, error) {
	p := &pair{portal: &c.Settings.Portal, credentials: c.Credentials, log: c.Log, ask: c.Reload}
	p.seen = p.look()
	return p, p.read()
}

func (p *pair) read() error {
	next, err := p.portal.LoadPair(p.credentials)
	if err != nil {
		return err
	}
	p.now.Store(next)
	return nil
}

// look tells files that were replaced from those that were read.
func (p *pair) look() string {
	key, err := p.portal.Key.Path(p.credentials)
	if err != nil {
		return ""
	}
	var seen string
	for _, path := range []string{p.portal.Certificate, key} {
		if info, err := os.Stat(path); err == nil {
			seen += fmt.Sprintf("%d %d;", info.ModTime().UnixNano(), info.Size())
		}
	}
	return seen
}

func (p *pair) settings() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.now.Load(), nil },
	}
}

func (p *pair) challenges(next http.Handler) http.Handler { return next }

func (p *pair) notAfter() time.Time { return p.now.Load().Leaf.NotAfter }

// watch reads the files again when they changed, or when asked. Certificate and
// key are two files: a pair that does not fit, because only one was replaced
// yet, is left alone until the next look.
func (p *pair) watch(ctx context.Context) {
	tick := time.NewTicker(rereadEvery)
	defer tick.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-p.ask:
			asked = true
		case <-tick.C:
		}
		seen := p.look()
		if seen == p.seen && !asked {
			continue
		}
		if err := p.read(); err != nil {
			p.log.Error("TLS certificate not taken up, the old one stays", "error", err)
			continue
		}
		p.seen = seen
		p.log.Info("TLS certificate taken up", "until", p.notAfter())
	}
}

// acmePair gets the certificate from an authority by RFC 8555.
type acmePair struct {
	manager *autocert.Manager
	host    string
	log     *slog.Logger
	until   atomic.Pointer[time.Time]
}

// obtainTimeout bounds one try to get the certificate at the start.
const obtainTimeout = 5 * time.Minute

func openACME(c *Config) (*acmePair, error) {
	settings, host := c.Settings.Portal.ACME, c.Settings.PortalHost()
	trust, err := config.LoadTrust(settings.Trust)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12},
	}
	return &acmePair{host: host, log: c.Log, manager: &autocert.Manager{
		Prompt:     autocert.AcceptTOS, // config refuses to go on without accept-terms
		Cache:      autocert.DirCache(filepath.Join(c.Data, "acme")),
		HostPolicy: onlyHost(host),
		Email:      settings.Contact,
		Client: &acme.Client{
			DirectoryURL: settings.Directory, UserAgent: "mailseal",
			HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute},
		},
	}}, nil
}

// onlyHost asks for the portal's certificate and no other. The name comes from a
// TLS client, or from a Host field, where it may have a port.
func onlyHost(host string) autocert.HostPolicy {
	return func(_ context.Context, name string) error {
		if bare, _, err := net.SplitHostPort(name); err == nil {
			name = bare
		}
		if !strings.EqualFold(name, host) {
			return fmt.Errorf("no certificate for another host than %s", host)
		}
		return nil
	}
}

func (a *acmePair) settings() *tls.Config {
	t := a.manager.TLSConfig() // with the protocol of tls-alpn-01 (RFC 8737)
	t.MinVersion = tls.VersionTLS12
	get := t.GetCertificate
	t.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		// A client that names no host, as RFC 6066 allows, gets the portal's too.
		if hello.ServerName == "" {
			hello.ServerName = a.host
		}
		return a.noted(get(hello))
	}
	return t
}

func (a *acmePair) challenges(next http.Handler) http.Handler { return a.manager.HTTPHandler(next) }

func (a *acmePair) notAfter() time.Time {
	if until := a.until.Load(); until != nil {
		return *until
	}
	return time.Time{}
}

// noted remembers until when the portal's certificate is good.
func (a *acmePair) noted(c *tls.Certificate, err error) (*tls.Certificate, error) {
	if err == nil && c.Leaf != nil && c.Leaf.VerifyHostname(a.host) == nil && !isChallenge(c.Leaf) {
		a.until.Store(&c.Leaf.NotAfter)
	}
	return c, err
}

// isChallenge tells the self-signed certificate of tls-alpn-01, which has the
// extension acmeIdentifier (RFC 8737 §3).
func isChallenge(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if e.Id.String() == "1.3.6.1.5.5.7.1.31" {
			return true
		}
	}
	return false
}

// watch gets the certificate before the first visitor has to wait for it; the
// manager renews it by itself from then on.
func (a *acmePair) watch(ctx context.Context) {
	for wait := time.Minute; ; wait = min(2*wait, time.Hour) {
		err := a.obtain(ctx)
		if err == nil {
			a.log.Info("TLS certificate is there", "until", a.notAfter())
			break
		}
		a.log.Error("TLS certificate not obtained by ACME", "again in", wait.String(), "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
	<-ctx.Done()
}

func (a *acmePair) obtain(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		_, err := a.noted(a.manager.GetCertificate(&tls.ClientHelloInfo{
			ServerName: a.host, SupportedVersions: []uint16{tls.VersionTLS13},
			// What every modern client offers, so that the key is ECDSA.
			SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256},
			CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		}))
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(obtainTimeout):
		return context.DeadlineExceeded
	}
}
