package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/net/netutil"

	"github.com/mailseal/mailseal/internal/config"
)

// The doors, as logs and metrics call them.
const (
	doorPortal     = "portal"
	doorRepository = "repository"
	doorClient     = "client-certificates"
	doorMetrics    = "metrics"
	doorBounces    = "bounces"
	doorCatcher    = "catcher"
)

// ports are the open listeners by door.
type ports map[string]net.Listener

func (p ports) close() {
	for _, l := range p {
		_ = l.Close() // twice is no matter: whoever served it closed it first
	}
}

func (p ports) addresses() map[string]net.Addr {
	addresses := map[string]net.Addr{}
	for name, l := range p {
		addresses[name] = l.Addr()
	}
	return addresses
}

// listen opens all ports or none.
func (c *Config) listen(ctx context.Context) (ports, error) {
	open := ports{}
	for _, name := range []string{doorPortal, doorRepository, doorClient, doorMetrics, doorBounces, doorCatcher} {
		address, option := c.address(name)
		if address == "" {
			continue
		}
		l, err := c.listenAt(ctx, address, option)
		if err != nil {
			open.close()
			return nil, err
		}
		if !c.Dev {
			l = netutil.LimitListener(l, c.Settings.Limits.Connections)
		}
		open[name] = l
	}
	return open, nil
}

// address is where a door listens, "" for a door that is not there, and the
// option that chooses another place.
func (c *Config) address(door string) (address, option string) {
	if c.Dev {
		switch door {
		case doorPortal:
			return c.Listen, "--listen"
		case doorCatcher:
			return c.SMTPListen, "--smtp"
		}
		return "", ""
	}
	switch s := c.Settings; door {
	case doorPortal:
		return s.Portal.Listen, "portal.listen"
	case doorRepository:
		return s.Repository.Listen, "repository.listen"
	case doorClient:
		return s.Portal.ClientCertificates.Listen, "portal.client-certificates.listen"
	case doorMetrics:
		return strings.TrimSuffix(s.Metrics.Listen, "none"), "metrics.listen"
	case doorBounces:
		return s.Mail.Bounces.Listen, "mail.bounces.listen"
	}
	return "", ""
}

func (c *Config) listenAt(ctx context.Context, address, option string) (net.Listener, error) {
	if name, socket := strings.CutPrefix(address, config.SocketScheme); socket && !c.Dev {
		if l := c.Sockets[name]; l != nil {
			return l, nil
		}
		return nil, fmt.Errorf("listen on %s, chosen by %s: systemd handed over no socket of that name, but %s: set FileDescriptorName=%s in the .socket unit",
			address, option, handed(c.Sockets), name)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: want host:port, such as 127.0.0.1:8080, for %s: %w", address, option, err)
	}
	if c.Dev && !loopback(host) {
		return nil, fmt.Errorf("listen on %q: --dev serves this machine alone: give %s a loopback address, such as 127.0.0.1:8080", address, option)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s: the port is taken, perhaps by another mailseal: stop that one, or choose another port with %s", address, option)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen on %s, chosen by %s: a port below 1024 needs the right to it: let systemd open it (systemd:NAME), or start with AmbientCapabilities=CAP_NET_BIND_SERVICE: %w", address, option, err)
	case err != nil:
		return nil, fmt.Errorf("listen on %s, chosen by %s: %w", address, option, err)
	}
	return l, nil
}

func handed(sockets map[string]net.Listener) string {
	if len(sockets) == 0 {
		return "none at all"
	}
	return strings.Join(slices.Sorted(maps.Keys(sockets)), ", ")
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
		from, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil || !loopback(from) || !loopback(hostOf(r)) {
			// RFC 9110 §15.5.20: not the server for that name.
			http.Error(w, "mailseal: with --dev this server answers this machine alone, at 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf is the host that a request is meant for, without the port.
func hostOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil { // without a port; an IPv6 address stands in brackets all the same
		host = strings.TrimPrefix(strings.TrimSuffix(r.Host, "]"), "[")
	}
	return host
}
