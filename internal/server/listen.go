package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
)

// listen opens a port of this machine. flag names the option that chooses
// another one.
func listen(ctx context.Context, address, flag string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: want host:port, such as 127.0.0.1:8080, for %s: %w", address, flag, err)
	}
	if !loopback(host) {
		return nil, fmt.Errorf("listen on %q: --dev serves this machine alone: give %s a loopback address, such as 127.0.0.1:8080", address, flag)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s: the port is taken, perhaps by another mailseal: stop that one, or choose another port with %s", address, flag)
	case err != nil:
		return nil, fmt.Errorf("listen on %s, chosen by %s: %w", address, flag, err)
	}
	return l, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// loopbackOnly answers requests that come from this machine and are meant for
// it. The look at Host stops DNS rebinding: a page elsewhere may point its own
// name at 127.0.0.1 and would otherwise read the caught mails, codes included.
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		from, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil || !loopback(from) || !loopback(host) {
			// RFC 9110 §15.5.20: not the server for that name.
			http.Error(w, "mailseal: with --dev this server answers this machine alone, at 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
