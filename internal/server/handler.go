package server

import (
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/repository"
)

// site is the portal with the API. It serves the repository too, for people who
// download a root by hand.
func (s *system) site(pages http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", health)
	mux.HandleFunc("GET /readyz", s.readyForAnybody)
	mux.Handle("/api/", s.api)
	mux.Handle("/", pages)
	return repository.New(s.authority, s.Clock, s.Log, mux)
}

// publicRepository is the repository's own door: everything else is led to the
// portal, so that whoever types the name without https arrives.
func (s *system) publicRepository() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", health)
	mux.Handle("/", http.RedirectHandler(s.url+"/", http.StatusFound))
	return repository.New(s.authority, s.Clock, s.Log, mux)
}

// operatorsDoor has what the operator's machines ask for.
func (s *system) operatorsDoor() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", health)
	mux.HandleFunc("GET /readyz", s.readyForOperator)
	mux.Handle("GET /metrics", s.metrics.handler())
	return mux
}

// health answers when the process serves; it says nothing about anybody.
func health(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok\n") }

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the client is gone: nobody left to tell
}

// secured adds what holds for everything that is reached over https. The
// promise of RFC 6797 holds for a year, for this host alone.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		next.ServeHTTP(w, r)
	})
}

// ownHost refuses requests for other hosts (RFC 9110 §15.5.20), so that no
// other name that leads here shares the portal's origin. Health checks come by
// address.
func ownHost(address string, next http.Handler) (http.Handler, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(hostOf(r), u.Hostname()) && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
			http.Error(w, "mailseal: this is the server of "+u.Hostname(), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// behindProxies puts the client that a trusted proxy names in the place of the
// proxy. Alone says that nobody else may come in.
func behindProxies(trusted []string, alone bool, next http.Handler) (http.Handler, error) {
	var networks []netip.Prefix
	for _, text := range trusted {
		network, err := config.ParseNetwork(text)
		if err != nil {
			return nil, err
		}
		networks = append(networks, network)
	}
	ours := func(a netip.Addr) bool {
		return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a.Unmap()) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		switch {
		case err != nil || alone && !ours(peer.Addr()):
			http.Error(w, "mailseal: without TLS this server answers its proxy alone; see portal.trusted-proxies", http.StatusForbidden)
			return
		case ours(peer.Addr()):
			client := clientOf(r.Header.Values("X-Forwarded-For"), peer.Addr(), ours)
			r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		}
		next.ServeHTTP(w, r)
	}), nil
}

// clientOf reads X-Forwarded-For from its end, where our own proxies wrote: the
// first address that is none of theirs is the client's. What stands before it
// was written by anybody.
func clientOf(fields []string, peer netip.Addr, ours func(netip.Addr) bool) netip.Addr {
	client := peer
	for _, item := range slices.Backward(strings.Split(strings.Join(fields, ","), ",")) {
		address, err := netip.ParseAddr(strings.TrimSpace(item))
		if err != nil {
			return client
		}
		if client = address; !ours(client) {
			return client
		}
	}
	return client
}
