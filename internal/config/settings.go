package config

import "time"

// Settings is the whole file. The zero value of a field is its default.
type Settings struct {
	Data       string     `yaml:"data"`
	Database   Database   `yaml:"database"`
	Keys       Keys       `yaml:"keys"`
	Portal     Portal     `yaml:"portal"`
	SignIn     SignIn     `yaml:"sign-in"`
	Repository Repository `yaml:"repository"`
	Mail       Mail       `yaml:"mail"`
	DNS        DNS        `yaml:"dns"`
	Audit      Audit      `yaml:"audit"`
	Metrics    Metrics    `yaml:"metrics"`
	Log        Log        `yaml:"log"`
	Limits     Limits     `yaml:"limits"`
}

// Database says where the state is, when not in an SQLite file below Data.
type Database struct {
	URL      string `yaml:"url"` // postgres://, without a password
	Password Secret `yaml:"password"`
}

// Keys says what opens the authorities' keys.
type Keys struct {
	Passphrase Secret `yaml:"passphrase"` // of the files
	PIN        Secret `yaml:"pin"`        // of the token
	Module     string `yaml:"module"`     // PKCS #11, where the key's URI names none
}

// Portal is the site for people and the API for programs.
type Portal struct {
	URL                string             `yaml:"url"`
	Listen             string             `yaml:"listen"`
	Certificate        string             `yaml:"certificate"`
	Key                Secret             `yaml:"key"`
	ACME               ACME               `yaml:"acme"`
	TrustedProxies     []string           `yaml:"trusted-proxies"`
	ClientCertificates ClientCertificates `yaml:"client-certificates"`
	ReportFont         string             `yaml:"report-font"` // TrueType; empty: one of the usual places
}

// ACME gets the portal's TLS certificate from an authority by RFC 8555.
type ACME struct {
	Directory   string `yaml:"directory"`
	Contact     string `yaml:"contact"`
	AcceptTerms bool   `yaml:"accept-terms"`
	Trust       string `yaml:"trust"`
}

// ClientCertificates is the door through which a person signs in with a
// certificate. It has a port of its own, because asking for certificates
// everywhere would have every visitor's browser ask for one.
type ClientCertificates struct {
	Listen string `yaml:"listen"`
	URL    string `yaml:"url"`
}

// SignIn says what signing in to an account takes.
type SignIn struct {
	SecondFactor string `yaml:"second-factor"`
	OpenID       OpenID `yaml:"openid"`
}

// OpenID is a provider of OpenID Connect that people may sign in with.
type OpenID struct {
	Issuer  string   `yaml:"issuer"`
	Name    string   `yaml:"name"` // on the button
	Client  string   `yaml:"client"`
	Secret  Secret   `yaml:"secret"` // none: a public client
	Trust   string   `yaml:"trust"`
	Domains []string `yaml:"domains"` // whose addresses the provider vouches for
	ACR     []string `yaml:"acr"`     // contexts that take more than a password
}

// Given tells whether there is a provider.
func (o OpenID) Given() bool { return o.Issuer != "" || o.Client != "" }

// What signing in takes.
const (
	SecondFactorRequired = "required"
	SecondFactorOptional = "optional"
)

// Repository serves what certificates point to, over plain HTTP.
type Repository struct {
	Listen string `yaml:"listen"`
}

// Mail says how mails leave and how their bounces come back.
type Mail struct {
	From     string  `yaml:"from"`
	Name     string  `yaml:"name"`
	Relay    string  `yaml:"relay"`
	TLS      string  `yaml:"tls"`
	Trust    string  `yaml:"trust"`
	User     string  `yaml:"user"`
	Password Secret  `yaml:"password"`
	Hello    string  `yaml:"hello"`
	Bounces  Bounces `yaml:"bounces"`

	Signature Signature `yaml:"signature"`
}

// Signature is what mails to an organization's people are signed with: a
// PKCS #12 file with a certificate for mail.from.
type Signature struct {
	File       Secret `yaml:"file"`
	Passphrase Secret `yaml:"passphrase"`
}

// Bounces is the door for mails that say that one of ours did not arrive.
type Bounces struct {
	Domain string `yaml:"domain"`
	Listen string `yaml:"listen"`
}

// DNS says who is asked whether an organization's domains are its own, and
// whether CAA records let us certify a mailbox (RFC 9495).
type DNS struct {
	Server string   `yaml:"server"` // host:port of a resolver that validates; empty: the system's
	CAA    []string `yaml:"caa"`    // what stands for this authority in them; none: they are not asked for
}

// Audit says where checkpoints of the audit log go, to be kept elsewhere.
type Audit struct {
	File    string `yaml:"file"`
	Program string `yaml:"program"`
}

// Metrics is the operator's door.
type Metrics struct {
	Listen string `yaml:"listen"`
}

// Log says how to log.
type Log struct {
	Format string `yaml:"format"`
	Level  string `yaml:"level"`
}

// Limits bound what one process takes on.
type Limits struct {
	Connections int           `yaml:"connections"`
	Stop        time.Duration `yaml:"stop"`
}

// The ways to reach a relay.
const (
	TLSStart    = "starttls"
	TLSImplicit = "implicit"
	TLSNone     = "none"
)

// Defaults.
const (
	defaultConnections = 4096
	defaultStop        = 20 * time.Second
)

// withDefaults fills in what was left out.
func (s *Settings) withDefaults() {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	if s.TLSByFile() || s.TLSByACME() {
		set(&s.Portal.Listen, ":443")
	} else {
		set(&s.Portal.Listen, "127.0.0.1:8080")
	}
	set(&s.Repository.Listen, ":80")
	set(&s.Metrics.Listen, "127.0.0.1:9464")
	set(&s.SignIn.SecondFactor, SecondFactorRequired)
	set(&s.Mail.TLS, TLSStart)
	set(&s.Log.Format, "json")
	set(&s.Log.Level, "info")
	if s.Limits.Connections == 0 {
		s.Limits.Connections = defaultConnections
	}
	if s.Limits.Stop == 0 {
		s.Limits.Stop = defaultStop
	}
}

// TLSByFile tells whether the portal's certificate comes from files.
func (s *Settings) TLSByFile() bool { return s.Portal.Certificate != "" || s.Portal.Key.Given() }

// TLSByACME tells whether the portal's certificate comes by ACME.
func (s *Settings) TLSByACME() bool { return s.Portal.ACME != (ACME{}) }

// Plain tells whether the portal speaks plain HTTP, to a proxy in front of it.
func (s *Settings) Plain() bool { return !s.TLSByFile() && !s.TLSByACME() }
