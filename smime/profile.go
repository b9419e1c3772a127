package smime

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
)

// Profile is a set of choices about what is written, what is said of oneself, and what is read. The choices are data: see
// [Profiles]. A nil Profile stands for compat.
type Profile struct {
	// Name is what it is asked for by; About says what it is for.
	Name, About string

	readOnly bool // nothing is written with it

	capabilities []cms.Capability // what a signature says that its maker reads
	pss          bool             // RSA signs with RSASSA-PSS
	onlyRSA      bool             // no other kind of key signs, and none is encrypted to

	// ciphers are those that may be chosen, the best first; unknown are those that somebody is taken to read of whom nothing is known.
	ciphers, unknown []cms.Cipher
	// free leaves any cipher of this package to who asks for it by name.
	free bool
	oaep bool // RSAES-OAEP for every RSA key, not only for who says so
	kem  bool // of one holder's certificates the one for ML-KEM comes first

	headers HeaderPolicy // of a mail whose headers are protected

	refusesOld bool // content under RC2 and Triple-DES stays closed
	bare       bool // signatures without signed attributes are taken
}

var (
	// authenticatedFirst: what shows changes is better than what does not, and among these the longer key.
	authenticatedFirst = []cms.Cipher{cms.AES256GCM, cms.ChaCha20Poly1305, cms.AES192GCM, cms.AES128GCM, cms.AES256CBC, cms.AES192CBC, cms.AES128CBC}
	// longFirst: a search by a quantum computer halves the length of a key, so length comes first.
	longFirst = []cms.Cipher{cms.AES256GCM, cms.ChaCha20Poly1305, cms.AES256CBC, cms.AES192GCM, cms.AES192CBC, cms.AES128GCM, cms.AES128CBC}

	cbc = []cms.Cipher{cms.AES256CBC, cms.AES128CBC}
)

// profiles, the default first.
var profiles = sync.OnceValue(func() []*Profile {
	return []*Profile{
		{
			// A GCM message is a blank page in mail programs of today, so nobody is sent one who does not ask, and nobody asks for one.
			Name: "compat", About: "what every mail program reads; better only for who says so",
			capabilities: ciphersAs(cbc), ciphers: authenticatedFirst, unknown: cbc, free: true,
		},
		{
			// RFC 8551 §2.7: AES-256 in GCM is a MUST and is presumed; PKCS #1 v1.5 and AES-128 in CBC are MUST-.
			Name: "modern", About: "what RFC 8551 demands, AES-256-GCM first",
			capabilities: slices.Concat(ciphersAs(authenticatedFirst), bound(), transport(), agreements()),
			ciphers:      authenticatedFirst, unknown: authenticatedFirst, headers: HeadersBaseline, refusesOld: true,
		},
		{
			// The German energy market's rules for the exchange of data by mail.
			Name: "bdew", About: "RSASSA-PSS and RSAES-OAEP, as the German energy market demands",
			capabilities: slices.Concat(ciphersAs(cbc), transport()), pss: true, onlyRSA: true, oaep: true,
			ciphers: []cms.Cipher{cms.AES256GCM, cms.AES192GCM, cms.AES128GCM, cms.AES256CBC, cms.AES192CBC, cms.AES128CBC}, unknown: cbc, refusesOld: true,
		},
		{
			Name: "pq", About: "ML-KEM for who has such a key, beside RSA and ECDH for the others in one envelope",
			capabilities: slices.Concat(encapsulations(), ciphersAs(longFirst), bound(), transport(), agreements()), kem: true,
			ciphers: longFirst, unknown: cbc, headers: HeadersBaseline, refusesOld: true,
		},
		{
			Name: "legacy-decrypt", About: "reads what old programs wrote (RC2, Triple-DES, signatures without attributes), with a warning; writes nothing",
			readOnly: true, bare: true,
		},
	}
})

// Profiles returns all profiles, the default first.
func Profiles() []*Profile { return slices.Clone(profiles()) }

// ParseProfile returns the profile of that name; "" is the default.
func ParseProfile(name string) (*Profile, error) {
	if name == "" {
		return profiles()[0], nil
	}
	var names []string
	for _, p := range profiles() {
		if strings.EqualFold(p.Name, name) {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return nil, fmt.Errorf("%w: profile %q (there are %s)", ErrUnsupported, name, strings.Join(names, ", "))
}

// orDefault is compat for nil.
func (p *Profile) orDefault() *Profile {
	if p == nil {
		return profiles()[0]
	}
	return p
}

// Capabilities are what a signature made with the profile says that its maker can read (RFC 8551 §2.5.2), best first.
func (p *Profile) Capabilities() []cms.Capability { return slices.Clone(p.orDefault().capabilities) }

// Ciphers are the ciphers that a message is written with, best first.
func (p *Profile) Ciphers() []cms.Cipher { return slices.Clone(p.orDefault().ciphers) }

// Headers are what becomes of the headers of a mail that are protected (RFC 9788): compat hides nothing, since programs of today show
// "[...]" for a hidden Subject.
func (p *Profile) Headers() HeaderPolicy {
	if h := p.orDefault().headers; h != "" {
		return h
	}
	return HeadersVisible
}

// writes says why the profile writes nothing; nil when it does.
func (p *Profile) writes() error {
	if p.readOnly {
		return fmt.Errorf("%w: profile %s reads and never writes", ErrUnsupported, p.Name)
	}
	return nil
}

// signers are those given, bound to the profile: which signature an RSA key makes, and whose keys make any.
func (p *Profile) signers(given []*cms.Signer) ([]*cms.Signer, error) {
	if err := p.writes(); err != nil {
		return nil, err
	}
	if !p.pss {
		return given, nil
	}
	var out []*cms.Signer
	for _, s := range given {
		if p.onlyRSA && s.Certificate != nil && !isRSA(s.Certificate) {
			return nil, fmt.Errorf("%w: profile %s signs with RSASSA-PSS alone, and the key of %s is for %s",
				ErrUnsupported, p.Name, s.Certificate.Subject, s.Certificate.SPKIAlgorithm.Algorithm.Name())
		}
		bound := s.Clone()
		bound.PSS = true
		out = append(out, bound)
	}
	return out, nil
}

// ReadOnly: nothing is written with the profile.
func (p *Profile) ReadOnly() bool { return p.orDefault().readOnly }

// Allows says why a cipher that was asked for by name is not written; nil when it is.
func (p *Profile) Allows(c cms.Cipher) error {
	p = p.orDefault()
	if err := p.writes(); err != nil || p.free || slices.Contains(p.ciphers, c) {
		return err
	}
	return fmt.Errorf("%w: profile %s does not write %s; it writes %v", ErrUnsupported, p.Name, c, p.ciphers)
}

// The capabilities of RFC 8551 §2.5.2 and its companions, each with the encoding that its document prints.

func ciphersAs(list []cms.Cipher) (out []cms.Capability) {
	for _, c := range list {
		out = append(out, cms.Capability{Algorithm: oid.OID(c)})
	}
	return out
}

// bound is RFC 9709 §4: a content key that belongs to its cipher.
func bound() []cms.Capability { return []cms.Capability{{Algorithm: oid.CEKHKDFSHA256}} }

// transport is RFC 3560 §4.
func transport() []cms.Capability {
	c, err := cms.OAEPCapability(crypto.SHA256)
	if err != nil {
		panic(err) // SHA-256 is always there
	}
	return []cms.Capability{c}
}

// agreements are RFC 5753 §3.2 and RFC 8418 §5: a scheme, with the key wrap as its parameter.
func agreements() (out []cms.Capability) {
	for _, a := range []struct{ scheme, wrap oid.OID }{
		{oid.ECDHHKDFSHA256, oid.AES256Wrap}, {oid.ECDHHKDFSHA256, oid.AES128Wrap},
		{oid.ECDHStdSHA256KDF, oid.AES256Wrap}, {oid.ECDHStdSHA256KDF, oid.AES128Wrap}, {oid.ECDHStdSHA384KDF, oid.AES256Wrap},
	} {
		wrap, err := cms.AlgorithmIdentifier{Algorithm: a.wrap}.DER()
		if err != nil {
			panic(err) // a constant of this file is wrong
		}
		out = append(out, cms.Capability{Algorithm: a.scheme, Parameters: wrap})
	}
	return out
}

// encapsulations are RFC 9936 §4.
func encapsulations() []cms.Capability {
	return []cms.Capability{{Algorithm: oid.MLKEM1024}, {Algorithm: oid.MLKEM768}, {Algorithm: oid.MLKEM512}}
}
