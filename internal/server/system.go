package server

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/anchors"
	"github.com/mailseal/mailseal/internal/api"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/jobs"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/mailout/bounce"
	"github.com/mailseal/mailseal/internal/mailout/catcher"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/portal"
	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// system is the opened rooms.
type system struct {
	Config
	url            string   // of the portal, without a final slash
	folder         *os.File // the data folder's lock
	metrics        *metrics
	certificates   certificates // nil: the portal speaks plain HTTP
	store          *store.DB
	authority      *authority.Authority
	outbox         *outbox.Outbox
	mails          *mailqueue.Queue
	orders         *registration.Service
	enrollment     *enrollment.Service
	log            *audit.Log
	reports        *problemreport.Service
	jobs           *jobs.Service
	recovery       *recovery.Service
	api            http.Handler
	administrators *auth.Service
	catcher        *catcher.Catcher // of --dev
	doors          []door
}

// open opens the rooms from the lowest up, and closes them again when one of
// them cannot be opened.
func open(ctx context.Context, c Config, ports ports) (*system, error) {
	s := &system{Config: c, metrics: newMetrics(c.Version)}
	if c.Dev {
		s.Keys = &keys.Keys{Dir: c.Data, Plaintext: true}
		s.url = "http://" + ports[doorPortal].Addr().String()
	} else {
		s.url = c.Settings.Portal.URL
	}
	if err := s.openRooms(ctx, ports); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *system) openRooms(ctx context.Context, ports ports) error {
	var err error
	if s.folder, err = openFolder(s.Data); err != nil {
		return err
	}
	if s.certificates, err = s.openCertificates(); err != nil {
		return err
	}
	source, err := s.source()
	if err != nil {
		return err
	}
	if s.store, err = store.Open(ctx, source); err != nil {
		return err
	}
	proofs := s.validator()
	if err := s.openLog(ctx); err != nil {
		return err
	}
	if err := s.openAuthority(ctx, proofs); err != nil {
		return err
	}
	var catcherAt string
	if s.Dev {
		if err := s.openCatcher(); err != nil {
			return err
		}
		catcherAt = ports[doorCatcher].Addr().String()
	}
	sender, err := s.sender(catcherAt)
	if err != nil {
		return err
	}
	if err := s.openQueues(sender); err != nil {
		return err
	}
	s.recovery = recovery.New(recovery.Options{Store: s.store, Mails: s.mails, Clock: s.Clock, Rand: s.Rand, Log: s.Log})
	public, err := anchors.Email()
	if err != nil {
		return err
	}
	s.orders = registration.New(registration.Options{
		Store: s.store, Validation: proofs, Issuer: countingIssuer{s.authority, s.metrics}, Mails: s.mails,
		Escrow: s.recovery, Anchors: public, Clock: s.Clock, Rand: s.Rand, Log: s.Log,
	})
	s.jobs = jobs.New(jobs.Options{Store: s.store, Clock: s.Clock})
	s.reports = problemreport.New(problemreport.Options{
		Store: s.store, Authority: s.authority, Mails: s.mails, Site: s.url, Clock: s.Clock, Rand: s.Rand, Log: s.Log,
	})
	if err := s.openEnrollment(ctx); err != nil {
		return err
	}
	if err := s.openAccounts(ctx); err != nil {
		return err
	}
	s.api, err = api.New(api.Options{
		Registration: s.orders, Reports: s.reports, Recovery: s.recovery, Jobs: s.jobs,
		Enrollment: s.enrollment, Accounts: s.administrators, Store: s.store, Clock: s.Clock, Log: s.Log,
		ReportFont: s.reportFont,
	})
	if err != nil {
		return err
	}
	s.metrics.state = s.stateMetrics
	return s.openDoors(ports)
}

// openQueues makes the queue of jobs, and that of mails on it.
func (s *system) openQueues(sender validation.Mailer) (err error) {
	s.outbox, err = outbox.New(outbox.Options{
		Store: s.store, Clock: s.Clock, Rand: s.Rand, Log: s.Log, Alone: !s.store.Shared(), Grace: s.stopTime(),
	})
	if err != nil {
		return err
	}
	s.mails = mailqueue.New(mailqueue.Options{
		Store: s.store, Outbox: s.outbox, Mailer: sender, Clock: s.Clock, Rand: s.Rand, Log: s.Log,
		Tried: s.metrics.mail,
	})
	return nil
}

// validator asks the DNS that the settings name.
func (s *system) validator() *validation.Validator {
	v := &validation.Validator{Clock: s.Clock, Rand: s.Rand, Site: s.url, Resolver: validation.DNS{Server: s.DNS}}
	if !s.Dev {
		v.Resolver, v.CAANames = validation.DNS{Server: s.Settings.DNS.Server}, s.Settings.DNS.CAA
	}
	return v
}

// domainsEvery is how often it is looked whether a domain's proof is to be renewed.
const domainsEvery = time.Hour

// keepDomains renews proofs of domains until ctx ends.
func (s *system) keepDomains(ctx context.Context) {
	for {
		if err := s.orders.MaintainDomains(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("proofs of domains not renewed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(domainsEvery):
		}
	}
}

// openLog opens the audit log and enters the start, whose time is that of the
// clock from now on.
func (s *system) openLog(ctx context.Context) (err error) {
	o := audit.Options{Store: s.store, Keys: s.Keys, Clock: s.Clock, Log: s.Log}
	file, program := s.CheckpointFile, s.CheckpointProgram
	if !s.Dev {
		file, program = s.Settings.Audit.File, s.Settings.Audit.Program
	}
	if file != "" {
		o.Keep = append(o.Keep, audit.AppendTo(file))
	}
	if program != "" {
		o.Keep = append(o.Keep, audit.GiveTo(program))
	}
	if s.log, err = audit.Open(ctx, o); err != nil {
		return err
	}
	return s.record(ctx, audit.ActConfiguration, map[string]string{"url": s.url, "dev": strconv.FormatBool(s.Dev)})
}

// record enters an act of the server itself.
func (s *system) record(ctx context.Context, act string, details map[string]string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		return audit.Append(ctx, tx, audit.Entry{At: s.Clock(), Act: act, Details: details})
	})
}

// source is the database: a file in the data folder, or the URL of PostgreSQL
// with its password put in.
func (s *system) source() (string, error) {
	switch {
	case !s.Dev:
		return Source(s.Settings, s.Credentials)
	case s.DB != "":
		return s.DB, nil
	}
	return filepath.Join(s.Data, databaseFile), nil
}

const databaseFile = "mailseal.db"

// Source is where settings say that the state is, for [store.Open].
func Source(settings *config.Settings, credentials string) (string, error) {
	d := settings.Database
	if d.URL == "" {
		return filepath.Join(settings.Data, databaseFile), nil
	}
	if !d.Password.Given() {
		return d.URL, nil
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return "", errors.New("database.url cannot be read")
	}
	password, err := d.Password.Read(credentials)
	if err != nil {
		return "", fmt.Errorf("database.password: %w", err)
	}
	u.User = url.UserPassword(u.User.Username(), string(password))
	return u.String(), nil
}

// countingIssuer counts what was issued.
type countingIssuer struct {
	*authority.Authority
	metrics *metrics
}

func (c countingIssuer) Issue(ctx context.Context, w validation.Warrant, key crypto.PublicKey) (*cert.Certificate, error) {
	issued, err := c.Authority.Issue(ctx, w, key)
	if err == nil {
		c.metrics.issued.Inc()
	}
	return issued, err
}

// openAuthority opens the authority of the data folder and finishes what a
// crash may have left half-issued. With --dev it makes one on the first start.
func (s *system) openAuthority(ctx context.Context, proofs *validation.Validator) error {
	o := authority.Options{
		Store: s.store, Keys: s.Keys, Validation: proofs,
		Clock: s.Clock, Rand: s.Rand, Log: s.Log, GenerateKey: s.GenerateKey, Shared: s.store.Shared(),
	}
	var err error
	s.authority, err = authority.Open(ctx, o)
	switch {
	case errors.Is(err, authority.ErrNone) && s.Dev:
		fmt.Fprintln(s.Out, "Making a root and an issuing authority. This takes a few seconds, once.")
		s.authority, err = authority.Found(ctx, o, authority.Founding{BaseURL: s.url, Dev: s.Dev})
	case errors.Is(err, authority.ErrNone):
		err = errors.New("there is no authority yet: make one with `mailseal ca init`")
	}
	if errors.Is(err, authority.ErrFounded) { // by a node that was started at the same moment
		s.authority, err = authority.Open(ctx, o)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the database has an authority whose keys are not in the data folder %s: copy the folder keys from the node that has them", err, s.Data)
	}
	if err != nil {
		return err
	}
	return s.authority.Recover(ctx)
}

func (s *system) openCatcher() (err error) {
	s.catcher, err = catcher.Open(catcher.Options{
		Dir: filepath.Join(s.Data, "mail"), Now: s.Clock, Random: s.Rand, Log: s.Log,
	})
	return err
}

// openDoors gives each port its handler. The portal comes first, and mail last,
// because that is the order in which they stop.
func (s *system) openDoors(ports ports) error {
	site, err := portal.New(s.portal())
	if err != nil {
		return err
	}
	if s.Dev {
		s.doors = []door{
			s.httpDoor(doorPortal, ports[doorPortal], loopbackOnly(s.site(site)), nil),
			catcherDoor(s.catcher, ports[doorCatcher]),
		}
		return nil
	}
	if err := s.openPortal(ports, site); err != nil {
		return err
	}
	repository := s.publicRepository()
	if s.certificates != nil {
		repository = s.certificates.challenges(repository)
	}
	s.doors = append(s.doors, s.httpDoor(doorRepository, ports[doorRepository], repository, nil))
	if l := ports[doorMetrics]; l != nil {
		s.doors = append(s.doors, s.httpDoor(doorMetrics, l, s.operatorsDoor(), nil))
	}
	if l := ports[doorBounces]; l != nil {
		o := bounce.Options{Domain: s.Settings.Mail.Bounces.Domain, Host: s.Settings.PortalHost(), Mails: bounced{s.mails}, Log: s.Log}
		if s.certificates != nil {
			o.TLS = s.certificates.settings()
		}
		receiver := bounce.Open(o)
		s.doors = append(s.doors, door{func() error { return receiver.Serve(l) }, receiver.Shutdown})
	}
	return nil
}

// openPortal makes the portal's door, with or without TLS.
func (s *system) openPortal(ports ports, site http.Handler) error {
	h, err := ownHost(s.url, s.site(site))
	if err != nil {
		return err
	}
	proxies := s.Settings.Portal.TrustedProxies
	if h, err = behindProxies(proxies, s.Settings.Plain(), secured(h)); err != nil {
		return err
	}
	if s.certificates == nil {
		s.doors = append(s.doors, s.httpDoor(doorPortal, ports[doorPortal], h, nil))
		return nil
	}
	s.doors = append(s.doors, s.httpDoor(doorPortal, ports[doorPortal], h, s.certificates.settings()))
	if l := ports[doorClient]; l != nil {
		return s.openClientDoor(l)
	}
	return nil
}

// openClientDoor makes the door that asks for certificates. They are judged by
// our own path validation, against the store; what TLS is told of authorities is
// for the browser, which shows only certificates below them.
func (s *system) openClientDoor(l net.Listener) error {
	door, err := portal.NewCertificateDoor(s.portal(), s.authority, s.administrators, s.url)
	if err != nil {
		return err
	}
	h, err := ownHost(s.Settings.Portal.ClientCertificates.URL, door)
	if err != nil {
		return err
	}
	settings := s.certificates.settings()
	settings.ClientAuth = tls.RequestClientCert
	settings.ClientCAs = x509.NewCertPool()
	for _, m := range s.authority.Members() {
		// Keys that crypto/x509 does not know are no clients of crypto/tls either.
		if c, err := x509.ParseCertificate(m.Certificate().Raw); err == nil {
			settings.ClientCAs.AddCert(c)
		}
	}
	s.doors = append(s.doors, s.httpDoor(doorClient, l, secured(h), settings))
	return nil
}

func (s *system) portal() portal.Config {
	c := portal.Config{
		Orders: s.orders, Administrators: s.administrators, Accounts: s.administrators,
		Authority: overview{s.store, s.authority, s.orders}, Reports: s.reports, Jobs: s.jobs,
		Registration: s.orders, Enrollment: s.enrollment, Mine: pages{s}, Figures: pages{s}, Certificates: pages{s},
		Hierarchy: pages{s}, Recovery: s.recovery, ReportFont: s.reportFont,
		Dev: s.Dev, URL: s.url, Secure: strings.HasPrefix(s.url, "https:"), Now: s.Clock, Log: s.Log,
	}
	if s.catcher != nil {
		c.Mail = s.catcher
	}
	if !s.Dev {
		c.Door = s.Settings.Portal.ClientCertificates.URL
	}
	return c
}

// greetTimeout bounds the look for the first administrator.
const greetTimeout = 10 * time.Second

// greet tells the person at the console where to click, and the one-time code
// as long as there is no administrator.
func (s *system) greet(ctx context.Context) {
	if s.Dev {
		fmt.Fprintf(s.Out, `
mailseal is running, for development: nothing here is to be trusted.

  Portal           %[1]s/
  Caught mails     %[1]s/dev/mail
  Administration   %[1]s/admin, by a password alone: elsewhere it takes a second factor
`, s.url)
		if at := s.authority.BaseURL(); at != s.url {
			fmt.Fprintf(s.Out, `
Its certificates say that revocation lists are at %s,
where it was first started: programs that check them look there.
`, at)
		}
	} else {
		fmt.Fprintf(s.Out, "\nmailseal is running at %s/\n", s.url)
	}
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	code, err := s.administrators.FirstCode(ctx)
	if err != nil {
		s.Log.Error("one-time code of the first administrator not made", "error", err)
		return
	}
	if code != "" {
		fmt.Fprintf(s.Out, `
The first administrator claims the place at %s/admin/claim with

  %s
`, s.url, code)
	}
	if s.Dev {
		fmt.Fprint(s.Out, "\nStop it with Ctrl-C.\n")
	}
}

// close closes what was opened; the folder is free for the next process last.
func (s *system) close() error {
	var err error
	if s.store != nil {
		err = s.store.Close()
	}
	err = errors.Join(err, s.Keys.Close())
	if s.folder != nil {
		err = errors.Join(err, s.folder.Close())
	}
	return err
}
