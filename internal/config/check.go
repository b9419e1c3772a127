package config

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// SocketScheme begins the address of a socket that systemd opened and handed
// over under a name (FileDescriptorName=, systemd.socket(5)).
const SocketScheme = "systemd:"

// checker gathers what is wrong with the values.
type checker struct {
	*File
	problems []Problem
	warnings []Problem
}

func (c *checker) at(key, text, hint string) Problem {
	line := c.lines[key]
	for parent := key; line == 0 && parent != ""; line = c.lines[parent] {
		parent, _, _ = cutLast(parent)
	}
	return Problem{line, key, text, hint}
}

func cutLast(key string) (before, after string, found bool) {
	i := strings.LastIndexByte(key, '.')
	if i < 0 {
		return "", key, false
	}
	return key[:i], key[i+1:], true
}

func (c *checker) refuse(key, text, hint string) {
	c.problems = append(c.problems, c.at(key, text, hint))
}
func (c *checker) warn(key, text, hint string) {
	c.warnings = append(c.warnings, c.at(key, text, hint))
}

// Check judges the values and returns what is odd but allowed. The error is an
// *Error with everything that keeps the server from starting.
func (f *File) Check() (warnings []Problem, err error) {
	c := &checker{File: f}
	c.folder()
	c.database()
	if module := c.Settings.Keys.Module; module != "" && !filepath.IsAbs(module) {
		c.refuse("keys.module", "not an absolute path", "such as /usr/lib/softhsm/libsofthsm2.so")
	}
	c.portal()
	c.signIn()
	c.addresses()
	c.mail()
	c.dns()
	c.audit()
	c.logs()
	return c.warnings, failed(c.problems)
}

func (c *checker) folder() {
	if !filepath.IsAbs(c.Settings.Data) {
		c.refuse("data", "the folder of the data is missing or not absolute", "such as /var/lib/mailseal")
	}
}

func (c *checker) database() {
	d := c.Settings.Database
	if d.URL == "" {
		if d.Password.Given() {
			c.refuse("database.password", "there is no url that it belongs to", "give database.url, or remove it")
		}
		return
	}
	u, err := url.Parse(d.URL)
	switch {
	case err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" && !u.Query().Has("host"):
		c.refuse("database.url", "not the address of a PostgreSQL database", "such as postgres://mailseal@db.example.org/mailseal?sslmode=verify-full")
	case hasPassword(u):
		c.refuse("database.url", "the password does not belong here", "put it into a file that database.password names")
	}
}

func hasPassword(u *url.URL) bool {
	_, given := u.User.Password()
	return given || u.Query().Has("password")
}

func (c *checker) portal() {
	p := c.Settings.Portal
	c.site("portal.url", p.URL)
	switch {
	case c.Settings.TLSByFile() && c.Settings.TLSByACME():
		c.refuse("portal.acme", "the certificate comes from files already", "remove one of the two")
	case c.Settings.TLSByFile() && (p.Certificate == "" || !p.Key.Given()):
		c.refuse("portal.certificate", "certificate and key belong together", "give both portal.certificate and portal.key")
	case c.Settings.TLSByACME():
		c.acme(p.ACME)
	case c.Settings.Plain() && len(p.TrustedProxies) == 0:
		c.refuse("portal", "there is no TLS, without which browsers make no keys",
			"give portal.certificate and portal.key, or portal.acme, or portal.trusted-proxies where a proxy in front speaks TLS")
	}
	for i, proxy := range p.TrustedProxies {
		if _, err := ParseNetwork(proxy); err != nil {
			c.refuse("portal.trusted-proxies", proxy+" is not an IP address or network", "such as 10.0.0.5 or 10.0.0.0/24")
		} else if prefix, _ := ParseNetwork(proxy); prefix.Bits() == 0 {
			c.refuse("portal.trusted-proxies", p.TrustedProxies[i]+" is the whole world, and anybody could say who they are", "name the proxies alone")
		}
	}
	if d := p.ClientCertificates; d.Listen != "" || d.URL != "" {
		c.clientCertificates(d)
	}
}

func (c *checker) dns() {
	d := c.Settings.DNS
	if d.Server != "" {
		host, port, err := net.SplitHostPort(d.Server)
		if _, bad := netip.ParseAddr(host); err != nil || bad != nil || port == "" {
			c.refuse("dns.server", "not the IP address and port of a resolver", "such as 127.0.0.1:53")
		}
	}
	for _, name := range d.CAA {
		if domain, err := mailbox.ParseDomain(name); err != nil || domain != name {
			c.refuse("dns.caa", name+" is no domain name in lower case", "such as ca.example.org, as an issuemail record would have it")
		}
	}
}

func (c *checker) clientCertificates(d ClientCertificates) {
	c.site("portal.client-certificates.url", d.URL)
	switch {
	case d.Listen == "":
		c.refuse("portal.client-certificates.listen", "the address to listen on is missing", "such as :8443")
	case c.Settings.Plain():
		c.refuse("portal.client-certificates", "without TLS nobody shows a certificate", "give portal.certificate and portal.key, or portal.acme")
	}
	own, err1 := url.Parse(c.Settings.Portal.URL)
	door, err2 := url.Parse(d.URL)
	if err1 == nil && err2 == nil && (own.Hostname() != door.Hostname() || own.Port() == door.Port()) {
		c.refuse("portal.client-certificates.url", "it must be the portal's host with another port",
			"so that the session's cookie holds for both, such as https://"+own.Hostname()+":8443")
	}
}

// site wants https and nothing but a host.
func (c *checker) site(key, address string) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		c.refuse(key, "not the https address of a host", "such as https://certificates.example.org, without a final slash")
	}
}

func (c *checker) acme(a ACME) {
	u, err := url.Parse(a.Directory)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		c.refuse("portal.acme.directory", "not the https address of an ACME directory", "such as https://acme-v02.api.letsencrypt.org/directory")
	}
	if !a.AcceptTerms {
		c.refuse("portal.acme.accept-terms", "the authority wants its terms accepted", "read them and set it to true")
	}
	if a.Contact != "" {
		c.mailbox("portal.acme.contact", a.Contact)
	}
	if host := c.Settings.PortalHost(); net.ParseIP(host) != nil {
		c.refuse("portal.url", "no certificate for an IP address by ACME", "give a host name")
	}
}

func (c *checker) signIn() {
	s := c.Settings.SignIn
	switch s.SecondFactor {
	case SecondFactorRequired:
	case SecondFactorOptional:
		c.warn("sign-in.second-factor", "a password alone lets in operators, administrators, approvers and recovery officers", "remove it once everybody has a second factor")
	default:
		c.refuse("sign-in.second-factor", s.SecondFactor+" is not known", "required or optional")
	}
	o := s.OpenID
	if !o.Given() {
		if o.Name != "" || o.Secret.Given() || o.Trust != "" || len(o.Domains)+len(o.ACR) > 0 {
			c.refuse("sign-in.openid", "there is no provider that it belongs to", "give sign-in.openid.issuer and sign-in.openid.client, or remove it")
		}
		return
	}
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && (u.Scheme != "http" || !onMachine(u.Hostname())) {
		c.refuse("sign-in.openid.issuer", "not the https address of a provider", "such as https://login.example.org, as its openid-configuration says")
	}
	if o.Client == "" {
		c.refuse("sign-in.openid.client", "the name that the provider knows us by is missing", "register "+c.Settings.Portal.URL+"/sign-in/openid/back there as a redirect URI")
	}
	for _, domain := range o.Domains {
		if _, err := mailbox.Parse("x@" + domain); err != nil {
			c.refuse("sign-in.openid.domains", domain+" is not a mail domain", "such as example.org")
		}
	}
	for _, acr := range o.ACR {
		if acr == "" || strings.ContainsAny(acr, " \t\n") {
			c.refuse("sign-in.openid.acr", "a context is one word", "such as urn:example:mfa")
		}
	}
}

// PortalHost is the host name of the portal.
func (s *Settings) PortalHost() string {
	u, err := url.Parse(s.Portal.URL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// ParseNetwork reads an address or a network.
func ParseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// addresses judges what is listened on: no two doors in one place.
func (c *checker) addresses() {
	s := c.Settings
	taken := map[string]string{}
	for _, door := range []struct{ key, address string }{
		{"portal.listen", s.Portal.Listen},
		{"portal.client-certificates.listen", s.Portal.ClientCertificates.Listen},
		{"repository.listen", s.Repository.Listen},
		{"mail.bounces.listen", s.Mail.Bounces.Listen},
		{"metrics.listen", s.Metrics.Listen},
	} {
		if door.address == "" || door.address == "none" && door.key == "metrics.listen" {
			continue
		}
		c.address(door.key, door.address)
		if other := taken[door.address]; other != "" {
			c.refuse(door.key, "the same address as "+other, "give each its own")
		}
		taken[door.address] = door.key
	}
	if host, _, err := net.SplitHostPort(s.Metrics.Listen); err == nil && !private(host) {
		c.warn("metrics.listen", "everybody who reaches this machine can read the metrics", "give a loopback or private address")
	}
}

func (c *checker) address(key, address string) {
	if name, socket := strings.CutPrefix(address, SocketScheme); socket {
		if name == "" || strings.ContainsAny(name, ": /") {
			c.refuse(key, "after systemd: comes the name of the socket", "as FileDescriptorName= gives it")
		}
		return
	}
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		c.refuse(key, "not an address to listen on", "such as :443, 127.0.0.1:8080, [::1]:8080 or systemd:NAME")
	}
}

// onMachine tells whether a host is this machine.
func onMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func private(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsPrivate())
}

func (c *checker) mailbox(key, address string) {
	if m, err := mailbox.Parse(address); err != nil || !m.ASCII() {
		c.refuse(key, "not a mail address", "such as ca@example.org")
	}
}

func (c *checker) mail() {
	m := c.Settings.Mail
	c.mailbox("mail.from", m.From)
	host, _, err := net.SplitHostPort(m.Relay)
	if err != nil || host == "" {
		c.refuse("mail.relay", "the relay that takes our mails is missing or not host:port", "such as smtp.example.org:587")
	}
	ip := net.ParseIP(host)
	loopback := ip != nil && ip.IsLoopback()
	switch {
	case !slices.Contains([]string{TLSStart, TLSImplicit, TLSNone}, m.TLS):
		c.refuse("mail.tls", m.TLS+" is not a way to reach a relay", "starttls, implicit or none")
	case m.TLS == TLSNone && !loopback:
		c.refuse("mail.tls", "codes must not travel in the clear", "none is for a relay on this machine, with a loopback IP address")
	case m.TLS == TLSNone && m.Trust != "":
		c.refuse("mail.trust", "without TLS there is no certificate to judge", "remove it")
	}
	switch {
	case m.User == "" && m.Password.Given():
		c.refuse("mail.password", "there is no user that it belongs to", "give mail.user")
	case m.User != "" && !m.Password.Given():
		c.refuse("mail.user", "there is no password", "give mail.password")
	case m.User != "" && m.TLS == TLSNone:
		c.refuse("mail.user", "a password must not travel in the clear", "set mail.tls to starttls or implicit")
	case m.User == "" && !loopback:
		c.warn("mail.user", "the relay is used without a password", "most relays want mail.user and mail.password")
	}
	if m.Signature.File.Given() != m.Signature.Passphrase.Given() {
		c.refuse("mail.signature", "file and passphrase belong together", "give both or none")
	}
	c.bounces(m.Bounces)
}

func (c *checker) bounces(b Bounces) {
	switch {
	case b.Domain == "" && b.Listen == "":
		c.warn("mail.bounces", "nobody hears of mails that bounce later", "give mail.bounces.domain and mail.bounces.listen, and an MX record for the domain")
	case b.Domain == "" || b.Listen == "":
		c.refuse("mail.bounces", "domain and listen belong together", "give both or none")
	default:
		if _, err := mailbox.Parse("x@" + b.Domain); err != nil {
			c.refuse("mail.bounces.domain", "not a mail domain", "such as bounces.example.org")
		}
	}
}

func (c *checker) audit() {
	a := c.Settings.Audit
	for key, path := range map[string]string{"audit.file": a.File, "audit.program": a.Program} {
		if path != "" && !filepath.IsAbs(path) {
			c.refuse(key, "not an absolute path", "the server may be started anywhere")
		}
	}
	if a == (Audit{}) {
		c.warn("audit", "checkpoints of the audit log stay on this machine, where whoever breaks in can replace both", "give audit.file or audit.program, which takes them elsewhere")
	}
}

func (c *checker) logs() {
	if l := c.Settings.Log; !slices.Contains([]string{"json", "text"}, l.Format) {
		c.refuse("log.format", l.Format+" is not a format", "json or text")
	}
	if l := c.Settings.Log; !slices.Contains([]string{"debug", "info", "warn", "error"}, l.Level) {
		c.refuse("log.level", l.Level+" is not a level", "debug, info, warn or error")
	}
	if n := c.Settings.Limits.Connections; n < 1 {
		c.refuse("limits.connections", "at least one is needed", "the default is 4096")
	}
	if d := c.Settings.Limits.Stop; d < 0 {
		c.refuse("limits.stop", "time does not run backwards", "the default is 20s")
	}
}
